// SPDX-License-Identifier: Apache-2.0
// Who used a word of memory, and when.
#pragma once

#include <cstdint>

namespace stampede::soft_gpu {

// Time is counted in intervals: what a warp does from its block's start, or a barrier, to its next barrier. A barrier
// gives the warps that met there a new number, which is higher than all before. place: a block of the launch, or an
// epoch of a warp; 16 bits, which may wrap around: two that look the same hide a race and invent none.
struct Stamp {
  static constexpr std::uint64_t kManyPlaces = 1, kManyThreads = 2, kFlagBits = 3;
  static constexpr std::uint64_t kThreadBits = 0x3FF << 2, kWarpBits = 0x3E0 << 2, kPlaceBits = 0xFFFF << 12;
  static constexpr int kIntervalShift = 28;

  std::uint64_t bits = 0;

  static Stamp of(std::uint64_t interval, unsigned place, unsigned thread) {
    return {interval << 28 | std::uint64_t{place & 0xFFFF} << 12 | std::uint64_t{thread} << 2};
  }
  std::uint64_t interval() const { return bits >> 28; }
  unsigned place() const { return static_cast<unsigned>(bits >> 12) & 0xFFFF; }
  unsigned thread() const { return static_cast<unsigned>(bits >> 2) & 0x3FF; }
  unsigned warp() const { return thread() / 32; }
  bool many_places() const { return (bits & kManyPlaces) != 0; }
  bool many_threads() const { return (bits & kManyThreads) != 0; }
  Stamp of_lane(int lane) const { return {bits + (static_cast<std::uint64_t>(lane) << 2)}; }
  Stamp with(std::uint64_t flags) const { return {bits | flags}; }
};

// The last write and the last read. Several readers are told apart no further than the flags do.
struct WordHistory {
  Stamp writer, reader;
};

}  // namespace stampede::soft_gpu
