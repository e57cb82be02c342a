// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/warp.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "tests/soft_gpu/block.h"

namespace stampede::soft_gpu {
namespace {

constexpr std::size_t kRegisterAlignment = 64;
constexpr int kPoison = 0xCB;  // of registers and local memory that no instruction has written
constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

template <class T>
void fill(T* lanes, std::uint64_t value) {
  for (int i = 0; i < kLanes; ++i) lanes[i] = static_cast<T>(value);
}

}  // namespace

Warp::Warp(const Code& code, std::size_t local_bytes, Block& block, unsigned first_thread)
    : code_(code),
      block_(block),
      local_bytes_(local_bytes),
      register_memory_(new std::byte[code.register_bytes + kRegisterAlignment]),
      local_(new std::byte[local_bytes * kLanes]),
      predicates_(code.predicates),
      first_thread_(first_thread) {
  const auto address = reinterpret_cast<std::uintptr_t>(register_memory_.get());
  registers_ = register_memory_.get() + (kRegisterAlignment - address % kRegisterAlignment) % kRegisterAlignment;
  initialize_registers();
}

void Warp::initialize_registers() {
  std::memset(registers_, kPoison, code_.register_bytes);
  for (const Code::Constant& constant : code_.constants) {
    if (constant.wide) fill(lanes<std::uint64_t>(constant.slot), constant.value);
    if (!constant.wide) fill(lanes<std::uint32_t>(constant.slot), constant.value);
  }
  for (unsigned i = 0; i < kLanes; ++i) lanes<std::uint32_t>(code_.thread)[i] = first_thread_ + i;
  predicates_[kFalse] = 0;
  predicates_[kTrue] = kAllLanes;
}

void Warp::start(std::uint32_t lanes_of_block, unsigned block_index, unsigned threads, unsigned blocks) {
  fill(lanes<std::uint32_t>(code_.block), block_index);
  fill(lanes<std::uint32_t>(code_.threads), threads);
  fill(lanes<std::uint32_t>(code_.blocks), blocks);
  std::memset(local_.get(), kPoison, local_bytes_ * kLanes);
  groups_.assign(1, Group{0, lanes_of_block, false});
  living_ = lanes_of_block;
  epoch_ = 0;
}

Warp::State Warp::run() {
  at_barrier_ = false;
  while (next_group()) {
    execute_group();
    put_back();
    if (at_barrier_) return State::kAtBarrier;
  }
  if (!groups_.empty()) report_deadlock();
  return State::kEnded;
}

// Takes the group with the lowest position among those that can go on.
bool Warp::next_group() {
  std::size_t chosen = groups_.size();
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (!groups_[i].waiting && (chosen == groups_.size() || groups_[i].pc < groups_[chosen].pc)) chosen = i;
  }
  if (chosen == groups_.size()) return false;
  pc_ = groups_[chosen].pc;
  active_ = groups_[chosen].lanes;
  waiting_ = false;
  groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(chosen));
  limit_ = kNoLimit;
  for (const Group& other : groups_) {
    if (other.pc > pc_) limit_ = std::min(limit_, other.pc);
  }
  return true;
}

void Warp::execute_group() {
  const Op* ops = code_.ops.data();
  do {
    const Op& op = ops[pc_++];
    mask = active_;
    if (op.guard >= 0) {
      const std::uint32_t guard = predicates_[static_cast<std::uint32_t>(op.guard)];
      mask &= op.guard_negated ? ~guard : guard;
    }
    ++instructions_;
    lane_instructions_ += static_cast<std::uint64_t>(std::popcount(mask));
    if (mask == 0) continue;
    op_ = &op;
    op.execute(*this, op);
  } while (pc_ < limit_);
}

// Joins the group that executed with one that is at the same place.
void Warp::put_back() {
  if (active_ == 0) return;
  for (Group& other : groups_) {
    if (other.pc != pc_) continue;
    other.lanes |= active_;
    other.waiting = false;
    return;
  }
  groups_.push_back({pc_, active_, waiting_});
}

void Warp::branch(std::uint32_t target) {
  if (mask == active_) {
    pc_ = target;
    if (!groups_.empty()) limit_ = 0;
    return;
  }
  const std::uint32_t taken = mask;
  const auto same = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.pc == target; });
  if (same == groups_.end()) {
    groups_.push_back({target, taken, false});
  } else {
    same->lanes |= taken;
    same->waiting = false;
  }
  active_ &= ~taken;
  limit_ = 0;
}

void Warp::leave() {
  active_ &= ~mask;
  living_ &= ~mask;
  if (active_ == 0) limit_ = 0;
  for (Group& other : groups_) other.waiting = false;  // they need not wait for these lanes any more
}

bool Warp::meet(std::uint32_t wanted) {
  if ((wanted & living_ & ~mask) == 0) return true;
  --pc_;
  waiting_ = true;
  limit_ = 0;
  return false;
}

void Warp::wait_at_barrier(unsigned barrier, unsigned threads) {
  if (!meet(kAllLanes)) return;
  barrier_ = {barrier, threads, op_};
  at_barrier_ = true;
  limit_ = 0;
}

void Warp::report_deadlock() {
  const Group& first = groups_.front();
  op_ = &code_.ops[first.pc];
  std::string reason = "some lanes wait here";
  for (std::size_t i = 1; i < groups_.size(); ++i) {
    reason += ", others at PTX line " + std::to_string(code_.ops[groups_[i].pc].line);
  }
  fault(Fault::Kind::kWarpSync, std::countr_zero(first.lanes), reason);
}

void Warp::fault(Fault::Kind kind, int lane, const std::string& reason) const {
  block_.fault(kind, first_thread_ + static_cast<unsigned>(lane), *op_, reason);
}

}  // namespace stampede::soft_gpu
