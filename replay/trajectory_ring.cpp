// SPDX-License-Identifier: Apache-2.0
#include "replay/trajectory_ring.h"

#include <algorithm>
#include <string>

#include "kernels/buffer.h"
#include "kernels/element_count.h"
#include "kernels/error.h"

namespace stampede {
namespace {

std::size_t slot_bytes(const RingShape& shape) {
  return static_cast<std::size_t>(shape.environments) * static_cast<std::size_t>(shape.obs_size) *
         static_cast<std::size_t>(obs_type_size(shape.obs_type));
}

}  // namespace

TrajectoryRing::TrajectoryRing(const RingShape& shape, Arena& arena) {
  const std::int64_t rows = static_cast<std::int64_t>(shape.environments) * (static_cast<std::int64_t>(shape.rows) + 1);
  if (shape.environments < 1 || shape.rows < 1 || rows > kMostIndices) {
    throw UsageError("ring: " + std::to_string(shape.environments) + " environments x " + std::to_string(shape.rows) +
                     " rows: neither may be below 1, nor environments x (rows + 1) above " +
                     std::to_string(kMostIndices));
  }
  const auto total = static_cast<std::size_t>(rows);
  obs_ = arena.take<std::byte>(slot_bytes(shape) * static_cast<std::size_t>(shape.rows + 1));
  records_ = arena.take<std::uint32_t>(total * static_cast<std::size_t>(shape.record.words));
  extra_ = arena.take<float>(total * static_cast<std::size_t>(shape.extra_size));
  view_ = {shape, obs_.data, records_.data, extra_.data};
}

int TrajectoryRing::stored_rows() const {
  return static_cast<int>(std::min<std::int64_t>(head_ - base_, view_.shape.rows));
}

void* TrajectoryRing::obs(int slot) const { return obs_.data + static_cast<std::size_t>(slot) * slot_bytes(shape()); }

std::uint32_t* TrajectoryRing::records(int slot) const {
  return records_.data + view_.index(slot, 0) * static_cast<std::size_t>(shape().record.words);
}

float* TrajectoryRing::extra(int slot) const {
  return extra_.data + view_.index(slot, 0) * static_cast<std::size_t>(shape().extra_size);
}

void TrajectoryRing::begin_rollout(const Stream& stream) {
  const void* const head_obs = start_rollout();
  if (head_obs != obs(0)) copy_on_device(stream, obs(0), head_obs, slot_bytes(shape()));
}

const void* TrajectoryRing::start_rollout() {
  const int head_slot = slot(head_);
  base_ = head_;
  return obs(head_slot);
}

void TrajectoryRing::restore(std::int64_t head, std::int64_t base) {
  head_ = head;
  base_ = base;
}

}  // namespace stampede
