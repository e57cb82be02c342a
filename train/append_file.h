// SPDX-License-Identifier: Apache-2.0
// A log file that only grows: buffered appends, checked writes, cut at a byte when a run resumes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace stampede {

// Every member throws RuntimeError with the path and the reason (disk full, permission). The destructor flushes what it
// can and stays silent; call `flush` to learn of failures.
class AppendFile {
 public:
  enum class Open : std::uint8_t {
    kCreate,   // starts empty
    kExclude,  // refuses an existing file
    kAppend,   // keeps what is there
  };

  AppendFile(std::string path, Open mode);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  // Hands the text to the file system at the latest with the first append one second after the last flush.
  void append(std::string_view text);
  void flush();
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(int error) const;

  std::string path_;
  std::string buffer_;
  std::chrono::steady_clock::time_point last_flush_;
  int descriptor_ = -1;
};

}  // namespace stampede
