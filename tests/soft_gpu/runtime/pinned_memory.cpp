// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/pinned_memory.h"

#include <cstdlib>
#include <cstring>
#include <iterator>

namespace stampede::soft_gpu {

PinnedMemory::~PinnedMemory() {
  for (const auto& [start, bytes] : blocks_) std::free(const_cast<std::byte*>(start));
}

void* PinnedMemory::allocate(std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  void* const memory = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (memory == nullptr) return nullptr;
  std::memset(memory, kPoison, bytes);
  blocks_[static_cast<const std::byte*>(memory)] = bytes;
  return memory;
}

bool PinnedMemory::release(void* memory) {
  if (blocks_.erase(static_cast<const std::byte*>(memory)) == 0) return false;
  std::free(memory);
  return true;
}

bool PinnedMemory::overlaps(const void* memory, std::size_t bytes) const {
  const auto* const begin = static_cast<const std::byte*>(memory);
  auto after = blocks_.lower_bound(begin + bytes);
  if (after == blocks_.begin()) return false;
  const auto& [start, size] = *std::prev(after);
  return start + size > begin;
}

bool PinnedMemory::contains(const void* memory, std::size_t bytes) const {
  const auto* const begin = static_cast<const std::byte*>(memory);
  auto after = blocks_.upper_bound(begin);
  if (after == blocks_.begin()) return false;
  const auto& [start, size] = *std::prev(after);
  return begin + bytes <= start + size;
}

}  // namespace stampede::soft_gpu
