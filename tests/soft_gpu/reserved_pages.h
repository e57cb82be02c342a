// SPDX-License-Identifier: Apache-2.0
// Address space whose pages are committed when they are first written.
#pragma once

#include <cstddef>

namespace stampede::soft_gpu {

class ReservedPages {
 public:
  enum class Use { kNothing, kReadAndWrite };

  // Zero at first. Throws RuntimeError when the system has not that much address space.
  ReservedPages(std::size_t bytes, Use use);
  ~ReservedPages();
  ReservedPages(const ReservedPages&) = delete;
  ReservedPages& operator=(const ReservedPages&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  // Makes a part zero again and gives its whole pages back to the system.
  void clear(std::size_t offset, std::size_t bytes);

 private:
  std::byte* data_;
  std::size_t bytes_;
};

}  // namespace stampede::soft_gpu
