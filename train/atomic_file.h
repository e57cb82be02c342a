// SPDX-License-Identifier: Apache-2.0
// Replaces a file as a whole: readers see the old content or the new one, never a part, even after a kill or power cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace stampede {

// Writes to ".<name>.partial" in the folder of `path`; `commit` syncs it and renames it over `path`.
// Without a commit the destructor removes it and `path` keeps its old content.
// Every member throws RuntimeError with the path and the reason (disk full, permission, another writer).
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size);                           // appends
  void write_at(std::uint64_t offset, const void* data, std::size_t size);  // overwrites what is already written
  void commit();                                                            // once, last

 private:
  void open_exclusively();
  [[noreturn]] void fail(const char* what, int error) const;

  std::string path_;
  std::string folder_;
  std::string partial_path_;
  int descriptor_ = -1;
};

void write_file_atomically(const std::string& path, std::string_view content);

}  // namespace stampede
