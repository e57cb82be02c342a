// SPDX-License-Identifier: Apache-2.0
// A trajectory ring in host memory whose rows a test writes by hand.
#pragma once

#include <memory>
#include <vector>

#include "replay/returns.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// One stored step as a test spells it out. A reset row has no flags at all.
struct HandRow {
  float reward = 0.0f;
  std::uint32_t flags = kValid;
  float value = 0.0f;
};

class HandRing {
 public:
  explicit HandRing(const RingShape& shape) : arena_(Device{}) {
    TrajectoryRing measured(shape, arena_);
    arena_.allocate("test ring");
    ring_ = std::make_unique<TrajectoryRing>(shape, arena_);
  }

  TrajectoryRing& ring() { return *ring_; }
  const RingView& view() const { return ring_->view(); }

  // Writes column `environment` from slot 0 on.
  void write_column(int environment, const std::vector<HandRow>& rows) {
    for (std::size_t t = 0; t < rows.size(); ++t) write(static_cast<int>(t), environment, rows[t]);
  }
  void write(int slot, int environment, const HandRow& row) {
    const RecordLayout& record = ring_->shape().record;
    std::uint32_t* const words = ring_->records(slot) + static_cast<std::size_t>(environment * record.words);
    words[record.action_size] = float_bits(row.reward);
    words[record.action_size + 1] = row.flags;
    if (ring_->shape().extra_size > 0) extra(slot, environment)[RolloutExtra::kValue] = row.value;
  }
  float* extra(int slot, int environment) const {
    return ring_->extra(slot) + static_cast<std::size_t>(environment * ring_->shape().extra_size);
  }
  // One of the extra floats of slots 0 ... T - 1.
  std::vector<float> column(int environment, int field) const {
    std::vector<float> values;
    for (int t = 0; t < ring_->shape().rows; ++t) values.push_back(extra(t, environment)[field]);
    return values;
  }

 private:
  Arena arena_;
  std::unique_ptr<TrajectoryRing> ring_;
};

}  // namespace stampede
