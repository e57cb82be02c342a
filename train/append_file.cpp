// SPDX-License-Identifier: Apache-2.0
#include "train/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/error.h"

namespace stampede {

AppendFile::AppendFile(std::string path, Open mode)
    : path_(std::move(path)), last_flush_(std::chrono::steady_clock::now()) {
  int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  if (mode == Open::kCreate) flags |= O_TRUNC;
  if (mode == Open::kExclude) flags |= O_EXCL;
  descriptor_ = ::open(path_.c_str(), flags, 0666);
  if (descriptor_ < 0) fail(errno);
}

AppendFile::~AppendFile() {
  try {
    flush();
  } catch (const RuntimeError&) {
    // A destructor has nobody to tell.
  }
  ::close(descriptor_);
}

void AppendFile::append(std::string_view text) {
  constexpr std::size_t kBuffer = std::size_t{1} << 16;
  constexpr std::chrono::seconds kLongestDelay{1};
  buffer_ += text;
  if (buffer_.size() >= kBuffer || std::chrono::steady_clock::now() - last_flush_ >= kLongestDelay) flush();
}

void AppendFile::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t count = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = count < 0 ? errno : ENOSPC;
      buffer_.erase(0, done);
      fail(error);
    }
    done += static_cast<std::size_t>(count);
  }
  buffer_.clear();
  last_flush_ = std::chrono::steady_clock::now();
}

void AppendFile::fail(int error) const { throw RuntimeError("cannot write '" + path_ + "': " + std::strerror(error)); }

}  // namespace stampede
