// SPDX-License-Identifier: Apache-2.0
// A block of threads: its warps, its shared memory, and its barriers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tests/soft_gpu/global_memory.h"
#include "tests/soft_gpu/machine.h"
#include "tests/soft_gpu/shared_memory.h"
#include "tests/soft_gpu/warp.h"

namespace stampede::soft_gpu {

// Executes blocks of one launch, one after the other.
class Block {
 public:
  Block(const Launch& launch, DeviceMemory& memory, LaunchHistory& history, const Schedule& schedule);

  void run(unsigned index);

  // For operations.
  unsigned index() const { return index_; }
  std::uint64_t first_interval() const { return first_interval_; }
  // Warp `warp` knows what warp `other` did before this interval: a barrier was between.
  std::uint64_t known(unsigned warp, unsigned other) const { return known_[warp * warps_.size() + other]; }
  bool checks_races() const { return schedule_.check_races; }
  SharedMemory& shared() { return shared_; }
  GlobalMemory& global() { return global_; }
  const std::vector<std::byte>& parameters() const { return launch_.parameters; }
  [[noreturn]] void fault(Fault::Kind kind, unsigned thread, const Op& op, const std::string& reason) const;

  Statistics statistics() const;

 private:
  enum class Progress { kRunnable, kWaiting, kEnded };

  void start(unsigned index);
  bool run_warps();
  bool complete_barrier(unsigned first);
  void pass_barrier(const std::vector<unsigned>& warps);
  [[noreturn]] void report_deadlock() const;

  const Launch& launch_;
  DeviceMemory& memory_;
  const Schedule& schedule_;
  SharedMemory shared_;
  GlobalMemory global_;
  std::deque<Warp> warps_;
  std::vector<unsigned> order_;
  std::vector<Progress> progress_;
  std::vector<std::uint64_t> known_;  // [warp, other warp]
  unsigned index_ = 0;
  std::uint64_t first_interval_ = 0, rounds_ = 0;
};

}  // namespace stampede::soft_gpu
