// SPDX-License-Identifier: Apache-2.0
// A warp: the registers of 32 lanes, and which lanes are where in the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/fault.h"

namespace stampede::soft_gpu {

class Block;

// Lanes that are at the same instruction execute it together. Of several groups, the one that is furthest behind goes
// on, so that they meet again. An instruction that lanes must reach together holds its group until the others come;
// when none can, that is a fault.
class Warp {
 public:
  enum class State { kAtBarrier, kEnded };

  Warp(const Code& code, std::size_t local_bytes, Block& block, unsigned first_thread);

  // Before a block's first run: `lanes` of the warp are threads of it.
  void start(std::uint32_t lanes, unsigned block_index, unsigned threads, unsigned blocks);
  // Executes until a barrier of the block or the end.
  State run();

  // For operations.
  template <class T>
  T* lanes(Slot slot) {
    return reinterpret_cast<T*>(registers_ + slot);
  }
  std::uint32_t predicate(Slot slot) const { return predicates_[slot]; }
  void set_predicate(Slot slot, std::uint32_t bits) { predicates_[slot] = (predicates_[slot] & ~mask) | (bits & mask); }
  std::uint32_t mask = 0;  // the lanes that execute the instruction

  void branch(std::uint32_t target);
  void leave();
  // Whether all `wanted` lanes that have not ended are here. If not, the instruction is executed again later.
  bool meet(std::uint32_t wanted);
  // threads: of the block that meet at this barrier, a multiple of 32.
  void wait_at_barrier(unsigned barrier, unsigned threads);
  std::uint32_t living() const { return living_; }

  Block& block() { return block_; }
  const Code& code() const { return code_; }
  unsigned first_thread() const { return first_thread_; }
  std::byte* local(int lane) { return local_.get() + static_cast<std::size_t>(lane) * local_bytes_; }
  std::size_t local_bytes() const { return local_bytes_; }
  std::uint64_t interval() const { return interval_; }
  // floor: what other warps did before this interval is ordered before what this one does now.
  void begin_interval(std::uint64_t interval, std::uint64_t floor) {
    interval_ = interval;
    floor_ = floor;
  }
  std::uint64_t floor() const { return floor_; }
  unsigned epoch() const { return epoch_; }  // counts bar.warp.sync, so that races within a warp are found
  void next_epoch() { ++epoch_; }
  [[noreturn]] void fault(Fault::Kind kind, int lane, const std::string& reason) const;

  // Which barrier the warp waits at.
  struct Barrier {
    unsigned number = 0, threads = 0;
    const Op* op = nullptr;
  };
  const Barrier& barrier() const { return barrier_; }
  std::uint64_t instructions() const { return instructions_; }
  std::uint64_t lane_instructions() const { return lane_instructions_; }

 private:
  struct Group {
    std::uint32_t pc, lanes;
    bool waiting;
  };

  void initialize_registers();
  bool next_group();
  void execute_group();
  void put_back();
  [[noreturn]] void report_deadlock();

  const Code& code_;
  Block& block_;
  std::size_t local_bytes_;
  std::unique_ptr<std::byte[]> register_memory_, local_;
  std::byte* registers_;
  std::vector<std::uint32_t> predicates_;
  std::vector<Group> groups_;  // without the one that executes
  unsigned first_thread_, epoch_ = 0;
  std::uint32_t living_ = 0, active_ = 0;  // lanes that have not ended; of the group that executes
  std::uint32_t pc_ = 0, limit_ = 0;       // the group executes while it is below its limit
  bool waiting_ = false, at_barrier_ = false;
  Barrier barrier_;
  const Op* op_ = nullptr;
  std::uint64_t interval_ = 0, floor_ = 0;
  std::uint64_t instructions_ = 0, lane_instructions_ = 0;
};

}  // namespace stampede::soft_gpu
