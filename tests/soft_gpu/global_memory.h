// SPDX-License-Identifier: Apache-2.0
// Global memory as the threads of a launch use it: bounds, bytes that were never written, and races.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/device_memory.h"
#include "tests/soft_gpu/stamp.h"

namespace stampede::soft_gpu {

class Warp;
struct LaneAccess;

// What orders the blocks of a launch: block a writes, executes membar.gl and then an atomic instruction; block b
// executes an atomic instruction at the same address later, and so sees what a wrote before its membar.
class LaunchHistory {
 public:
  // blocks: of the launch, or 0 where the kernel has no atomic instructions.
  LaunchHistory(unsigned blocks, std::uint64_t first_interval) : first_(first_interval), seen_(blocks) {}

  std::uint64_t first_interval() const { return first_; }
  // Block `reader` sees what block `writer` did up to, and without, this interval.
  std::uint64_t seen(unsigned reader, unsigned writer) const;
  bool sees_all(unsigned reader) const { return reader < seen_.size() && seen_[reader].size() + 1 >= seen_.size(); }
  // An atomic instruction of a block whose last membar.gl was in interval `fence` (0 for none).
  void meet_at(std::uint64_t address, unsigned block, std::uint64_t fence);

 private:
  std::uint64_t first_;
  std::vector<std::map<unsigned, std::uint64_t>> seen_;                   // by reader, then writer
  std::map<std::uint64_t, std::map<unsigned, std::uint64_t>> published_;  // by address, then writer
};

class GlobalMemory {
 public:
  GlobalMemory(DeviceMemory& memory, LaunchHistory& history) : memory_(memory), history_(history), ranges_(kRanges) {}

  void start_block() { fence_ = 0; }
  // Checks an access of the executing lanes and fills in where their bytes lie. Throws Fault.
  void resolve(Warp& warp, const Op& op, LaneAccess& access);
  void fence(std::uint64_t interval) { fence_ = interval; }

 private:
  static constexpr std::size_t kRanges = 64;

  void find(Warp& warp, const Op& op, const LaneAccess& access);
  void check_initialized(Warp& warp, const Op& op, const LaneAccess& access) const;
  void mark_initialized(const Op& op, const LaneAccess& access) const;
  void check_races(Warp& warp, const Op& op, LaneAccess& access) const;
  void check_read(Warp& warp, Stamp writer, Stamp mine, int lane, bool strong) const;
  void check_readers(Warp& warp, Stamp reader, Stamp mine, int lane) const;
  bool ordered(Warp& warp, Stamp other, Stamp mine) const;

  DeviceMemory& memory_;
  LaunchHistory& history_;
  std::vector<DeviceMemory::Range> ranges_;  // by instruction: where it was last
  std::uint64_t fence_ = 0;
};

}  // namespace stampede::soft_gpu
