// SPDX-License-Identifier: Apache-2.0
#include "train/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernels/error.h"

namespace stampede {

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  const std::size_t slash = path_.rfind('/');
  folder_ = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? path_ : path_.substr(slash + 1);
  if (name.empty()) fail("is a folder", 0);
  partial_path_ = folder_ + (slash == std::string::npos ? "/." : ".") + name + ".partial";
  open_exclusively();
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::unlink(partial_path_.c_str());
  ::close(descriptor_);
}

// The partial file has one fixed name, so that a killed writer leaves at most one behind, and the next one reuses it.
// The lock keeps two writers apart; a writer that locked a file which was renamed meanwhile starts again.
void AtomicFile::open_exclusively() {
  for (;;) {
    descriptor_ = ::open(partial_path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0) fail("cannot create", errno);
    struct stat opened {
    }, named{};
    int error = 0;
    bool ours = false;
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      error = errno;
    } else if (::fstat(descriptor_, &opened) != 0) {
      error = errno;
    } else if (::stat(partial_path_.c_str(), &named) == 0) {
      ours = opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
      if (ours && ::ftruncate(descriptor_, 0) != 0) error = errno;
    }
    if (ours && error == 0) return;
    ::close(descriptor_);
    descriptor_ = -1;
    if (error == EWOULDBLOCK) fail("is being written by another process", 0);
    if (error != 0) fail("cannot write", error);
  }
}

void AtomicFile::write(const void* data, std::size_t size) {
  constexpr std::size_t kLargestWrite = std::size_t{1} << 30;  // the kernel refuses more than 2 GiB at once
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t done = ::write(descriptor_, bytes, std::min(size, kLargestWrite));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail("cannot write", done < 0 ? errno : ENOSPC);
    bytes += done;
    size -= static_cast<std::size_t>(done);
  }
}

void AtomicFile::write_at(std::uint64_t offset, const void* data, std::size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t done = ::pwrite(descriptor_, bytes, size, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail("cannot write", done < 0 ? errno : ENOSPC);
    bytes += done;
    offset += static_cast<std::uint64_t>(done);
    size -= static_cast<std::size_t>(done);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("cannot write", errno);
  if (std::rename(partial_path_.c_str(), path_.c_str()) != 0) fail("cannot replace", errno);
  ::close(descriptor_);
  descriptor_ = -1;
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) fail("cannot sync the folder of", errno);
  const int error = ::fsync(folder) == 0 ? 0 : errno;
  ::close(folder);
  // Some network file systems cannot sync a folder; the rename itself is done.
  if (error != 0 && error != EINVAL && error != ENOTSUP) fail("cannot sync the folder of", error);
}

void AtomicFile::fail(const char* what, int error) const {
  if (error == 0) throw RuntimeError("'" + path_ + "' " + what);
  throw RuntimeError(std::string(what) + " '" + path_ + "': " + std::strerror(error));
}

void write_file_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content.data(), content.size());
  file.commit();
}

}  // namespace stampede
