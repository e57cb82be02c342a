// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/reserved_pages.h"

#include <sys/mman.h>

#include <cstring>
#include <string>

#include "kernels/error.h"

namespace stampede::soft_gpu {

ReservedPages::ReservedPages(std::size_t bytes, Use use) : bytes_(bytes) {
  const int protection = use == Use::kNothing ? PROT_NONE : PROT_READ | PROT_WRITE;
  void* pages = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) {
    throw RuntimeError("cannot reserve " + std::to_string(bytes >> 20) + " MiB of address space");
  }
  data_ = static_cast<std::byte*>(pages);
}

ReservedPages::~ReservedPages() { munmap(data_, bytes_); }

void ReservedPages::clear(std::size_t offset, std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  const std::size_t end = offset + bytes;
  const std::size_t first = (offset + kPage - 1) / kPage * kPage, last = end / kPage * kPage;
  if (first >= last) {
    std::memset(data_ + offset, 0, bytes);
    return;
  }
  std::memset(data_ + offset, 0, first - offset);
  madvise(data_ + first, last - first, MADV_DONTNEED);
  std::memset(data_ + last, 0, end - last);
}

}  // namespace stampede::soft_gpu
