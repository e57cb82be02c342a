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
  ended_.resize(warps_.size());
}

void Block::run(unsigned index) {
  index_ = index;
  first_interval_ = interval_ = memory_.next_interval();
  global_.start_block();
  for (Warp& warp : warps_) {
    const unsigned threads = std::min<unsigned>(launch_.block - warp.first_thread(), kLanes);
    warp.start(threads == kLanes ? kAllLanes : (1u << threads) - 1, index, launch_.block, launch_.grid);
  }
  std::fill(ended_.begin(), ended_.end(), false);
  for (std::size_t living = warps_.size(); living > 0;) {
    order_warps();
    for (const unsigned i : order_) {
      if (ended_[i] || warps_[i].run() == Warp::State::kAtBarrier) continue;
      ended_[i] = true;
      --living;
    }
    if (living > 0) check_barrier();
    interval_ = memory_.next_interval();
  }
}

void Block::order_warps() { schedule_order(schedule_, std::uint64_t{index_} << 32 | shuffles_++, order_); }

// All warps that have not ended are at a barrier now.
void Block::check_barrier() const {
  const Warp* first = nullptr;
  for (std::size_t i = 0; i < warps_.size(); ++i) {
    const Warp& warp = warps_[i];
    if (ended_[i]) continue;
    if (first == nullptr) first = &warp;
    if (warp.position() != first->position()) {
      warp.fault(Fault::Kind::kBarrier, 0, "warps wait at different barriers");
    }
  }
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
