// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/folder_lock.h"

namespace stampede {
namespace {

TEST(FolderLock, OneAtATime) {
  const TemporaryFolder folder;
  {
    const FolderLock first(folder.path());
    EXPECT_THROW(FolderLock{folder.path()}, UsageError);
  }
  EXPECT_NO_THROW(FolderLock{folder.path()});
}

TEST(FolderLock, NeedsAFolder) {
  const TemporaryFolder folder;
  EXPECT_THROW(FolderLock{folder / "missing"}, RuntimeError);
}

}  // namespace
}  // namespace stampede
