// SPDX-License-Identifier: Apache-2.0
#include "train/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/text_file.h"

namespace stampede {
namespace {

std::size_t files_in(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(AtomicFile, ReplacesOnlyOnCommit) {
  const TemporaryFolder folder;
  const std::string path = folder / "state";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("newer", 5);
    file.write_at(0, "N", 1);
    EXPECT_EQ(read_text_file(path), "old");
    file.commit();
  }
  EXPECT_EQ(read_text_file(path), "Newer");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, AbandonedWriteLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "state";
  write_file_atomically(path, "old");
  { AtomicFile(path).write("new", 3); }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, KilledWriterLeavesTheOldFileAndItsLeftoverIsReused) {
  const TemporaryFolder folder;
  const std::string path = folder / "state";
  write_file_atomically(path, "old");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    AtomicFile file(path);
    file.write("a long unfinished text", 22);
    std::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(files_in(folder.path()), 2u);
  write_file_atomically(path, "new");
  EXPECT_EQ(read_text_file(path), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, RefusesASecondWriter) {
  const TemporaryFolder folder;
  AtomicFile first(folder / "state");
  EXPECT_THROW(AtomicFile(folder / "state"), RuntimeError);
  first.write("1", 1);
  first.commit();
  EXPECT_EQ(read_text_file(folder / "state"), "1");
}

TEST(AtomicFile, NamesTheFileItCannotWrite) {
  const TemporaryFolder folder;
  const std::string path = folder / "missing/state";
  try {
    write_file_atomically(path, "x");
    FAIL() << "accepted";
  } catch (const RuntimeError& error) {
    EXPECT_EQ(std::string(error.what()), "cannot create '" + path + "': No such file or directory");
  }
  EXPECT_THROW(write_file_atomically(folder.path() + "/", "x"), RuntimeError);
  std::filesystem::create_directory(folder / "taken");
  EXPECT_THROW(write_file_atomically(folder / "taken", "x"), RuntimeError);
}

TEST(TextFile, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  EXPECT_THROW(read_text_file(folder.path()), RuntimeError);
  EXPECT_THROW(read_text_file(folder / "missing"), RuntimeError);
  EXPECT_THROW(read_text_file("/dev/null"), RuntimeError);
}

}  // namespace
}  // namespace stampede
