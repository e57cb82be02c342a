// SPDX-License-Identifier: Apache-2.0
// Keeps two processes from writing into one run folder.
#pragma once

#include <string>

namespace stampede {

// Locks a folder for as long as it lives; the lock ends with the process, whatever ends that, and leaves no file.
class FolderLock {
 public:
  // Throws UsageError when another one holds the folder, RuntimeError when it cannot be opened. Does nothing on file
  // systems that cannot lock folders.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace stampede
