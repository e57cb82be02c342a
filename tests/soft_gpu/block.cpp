// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/block.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "tests/soft_gpu/schedule.h"

namespace stampede::soft_gpu {

Block::Block(const Launch& launch, DeviceMemory& memory, LaunchHistory& history, const Schedule& schedule)
    : launch_(launch),
      memory_(memory),
      schedule_(schedule),
      shared_(launch.kernel->static_shared + launch.dynamic_shared),
      global_(memory, history) {
  for (unsigned first = 0; first < launch.block; first += kLanes) {
    warps_.emplace_back(*launch.kernel->code, launch.kernel->local_bytes, *this, first);
  }
  order_.resize(warps_.size());
  progress_.resize(warps_.size());
  known_.resize(warps_.size() * warps_.size());
}

void Block::start(unsigned index) {
  index_ = index;
  first_interval_ = memory_.next_interval();
  rounds_ = 0;
  global_.start_block();
  for (Warp& warp : warps_) {
    const unsigned threads = std::min<unsigned>(launch_.block - warp.first_thread(), kLanes);
    warp.start(threads == kLanes ? kAllLanes : (1u << threads) - 1, index, launch_.block, launch_.grid);
    warp.begin_interval(first_interval_, first_interval_);
  }
  std::fill(progress_.begin(), progress_.end(), Progress::kRunnable);
  std::fill(known_.begin(), known_.end(), 0);
}

void Block::run(unsigned index) {
  start(index);
  while (run_warps()) {
    bool any = false;
    for (unsigned i = 0; i < warps_.size(); ++i) {
      if (progress_[i] == Progress::kWaiting && complete_barrier(i)) any = true;
    }
    if (!any) report_deadlock();
  }
}

// Runs every warp that can to its next barrier or its end. False when all have ended.
bool Block::run_warps() {
  schedule_order(schedule_, std::uint64_t{index_} << 32 | rounds_++, order_);
  bool any_waiting = false;
  for (const unsigned i : order_) {
    if (progress_[i] == Progress::kRunnable) {
      progress_[i] = warps_[i].run() == Warp::State::kEnded ? Progress::kEnded : Progress::kWaiting;
    }
    any_waiting = any_waiting || progress_[i] == Progress::kWaiting;
  }
  return any_waiting;
}

// Lets the warps go on that wait at the same barrier as the first one, when enough have come.
bool Block::complete_barrier(unsigned first) {
  const Warp::Barrier& barrier = warps_[first].barrier();
  std::vector<unsigned> here;
  for (unsigned i = first; i < warps_.size(); ++i) {
    if (progress_[i] != Progress::kWaiting || warps_[i].barrier().number != barrier.number) continue;
    if (warps_[i].barrier().op != barrier.op || warps_[i].barrier().threads != barrier.threads) {
      warps_[i].fault(Fault::Kind::kBarrier, 0,
                      "another warp waits at this barrier in PTX line " + std::to_string(barrier.op->line));
    }
    here.push_back(i);
  }
  const std::size_t wanted = (barrier.threads + kLanes - 1) / kLanes;
  if (here.size() < wanted) return false;
  if (here.size() > wanted) warps_[first].fault(Fault::Kind::kBarrier, 0, "more threads wait than the barrier is for");
  pass_barrier(here);
  return true;
}

// The warps now know what each of them did or knew.
void Block::pass_barrier(const std::vector<unsigned>& warps) {
  const std::uint64_t interval = memory_.next_interval();
  const std::size_t n = warps_.size();
  std::vector<std::uint64_t> known(n);
  for (const unsigned i : warps) {
    for (std::size_t other = 0; other < n; ++other) known[other] = std::max(known[other], known_[i * n + other]);
  }
  for (const unsigned i : warps) known[i] = interval;
  const std::uint64_t floor = std::max(first_interval_, *std::min_element(known.begin(), known.end()));
  for (const unsigned i : warps) {
    std::copy(known.begin(), known.end(), known_.begin() + static_cast<std::ptrdiff_t>(i * n));
    warps_[i].begin_interval(interval, floor);
    progress_[i] = Progress::kRunnable;
  }
}

void Block::report_deadlock() const {
  std::string ended;
  const Warp* waiting = nullptr;
  for (std::size_t i = 0; i < warps_.size(); ++i) {
    if (progress_[i] == Progress::kEnded) ended += " " + std::to_string(i);
    if (progress_[i] == Progress::kWaiting && waiting == nullptr) waiting = &warps_[i];
  }
  waiting->fault(Fault::Kind::kBarrier, 0,
                 ended.empty() ? "other warps wait elsewhere" : "these warps have ended and will not come:" + ended);
}

void Block::fault(Fault::Kind kind, unsigned thread, const Op& op, const std::string& reason) const {
  const Code& code = *launch_.kernel->code;
  const auto place = static_cast<std::size_t>(&op - code.ops.data());
  throw Fault(kind, launch_.kernel->name + ", block " + std::to_string(index_) + ", thread " + std::to_string(thread) +
                        ", PTX line " + std::to_string(op.line) + " '" + std::string(code.texts[place]) +
                        "': " + reason);
}

Statistics Block::statistics() const {
  Statistics sum;
  for (const Warp& warp : warps_) {
    sum.instructions += warp.instructions();
    sum.lane_instructions += warp.lane_instructions();
  }
  return sum;
}

}  // namespace stampede::soft_gpu
