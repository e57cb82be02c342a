// SPDX-License-Identifier: Apache-2.0
// Page-locked memory of the host: what copies may read and write after the call that asks for them has returned.
#pragma once

#include <cstddef>
#include <map>

namespace stampede::soft_gpu {

class PinnedMemory {
 public:
  PinnedMemory() = default;
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  ~PinnedMemory();

  // nullptr when the host has not that much memory. The contents are poison.
  void* allocate(std::size_t bytes);
  // False for anything but the start of a block.
  bool release(void* memory);
  // Is any byte of the range in a block?
  bool overlaps(const void* memory, std::size_t bytes) const;
  // Is the whole range in one block?
  bool contains(const void* memory, std::size_t bytes) const;

 private:
  std::map<const std::byte*, std::size_t> blocks_;  // bytes by address
};

// What is read before it was written: a NaN as a float, far outside of any range as an integer.
inline constexpr int kPoison = 0xff;

}  // namespace stampede::soft_gpu
