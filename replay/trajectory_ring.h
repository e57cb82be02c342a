// SPDX-License-Identifier: Apache-2.0
// The one structure every learner reads: T + 1 slots of N environments that environment kernels write directly.
#pragma once

#include <cstdint>

#include "kernels/arena.h"
#include "kernels/record.h"
#include "kernels/stream.h"

namespace stampede {

struct RingShape {
  int environments = 1;  // N
  int rows = 1;          // T: transitions kept per environment
  int obs_size = 1;      // D
  ObsType obs_type = ObsType::kFloat32;
  RecordLayout record;
  int extra_size = 0;  // floats that the algorithm keeps beside each row, such as log-probability and value
};

// Read access for kernels. Row t lives in slot (t - base) mod (T + 1); flat index = slot * N + environment.
struct RingView {
  RingShape shape;
  const std::byte* obs = nullptr;          // [T + 1, N, D]
  const std::uint32_t* records = nullptr;  // [T + 1, N, record words]
  float* extra = nullptr;                  // [T + 1, N, extra_size]

  HD int slots() const { return shape.rows + 1; }
  HD std::size_t index(int slot, int environment) const {
    return static_cast<std::size_t>(slot) * static_cast<std::size_t>(shape.environments) +
           static_cast<std::size_t>(environment);
  }
  HD const std::uint32_t* record(std::size_t index) const {
    return records + index * static_cast<std::size_t>(shape.record.words);
  }
  HD float reward(std::size_t index) const { return bits_float(record(index)[shape.record.action_size]); }
  HD std::uint32_t flags(std::size_t index) const { return record(index)[shape.record.action_size + 1]; }
};

// The step at row t writes record t and observation t + 1; the head slot holds only an observation. An invalid row (no
// kValid) is the reset between two episodes: its observation is the true final one of the episode before it.
class TrajectoryRing {
 public:
  // Throws UsageError when N or T is below 1 or (T + 1) N is more than one launch can number (kMostIndices).
  TrajectoryRing(const RingShape& shape, Arena& arena);

  const RingShape& shape() const { return view_.shape; }
  const RingView& view() const { return view_; }
  std::int64_t head() const { return head_; }  // rows written so far
  int stored_rows() const;                     // complete rows behind the head, at most T
  int slot(std::int64_t row) const { return static_cast<int>((row - base_) % view_.slots()); }

  void* obs(int slot) const;               // [N, D]
  std::uint32_t* records(int slot) const;  // [N, record words]
  float* extra(int slot) const;            // [N, extra_size]

  // A row was written: its slot's successor is the new head.
  void advance(int rows = 1) { head_ += rows; }
  // On-policy use: the head's observation moves to slot 0 and the next rollout fills slots 0 ... T - 1. Stream-ordered.
  void begin_rollout(const Stream& stream);
  // The same without the move, for a kernel that reads the observation where it lies, [N, D] at what is returned, and
  // puts it into slot 0 itself.
  const void* start_rollout();
  // Continues a checkpoint.
  void restore(std::int64_t head, std::int64_t base);
  std::int64_t base() const { return base_; }

  View<std::byte> obs_bytes() const { return obs_; }
  View<std::uint32_t> record_words() const { return records_; }
  View<float> extra_values() const { return extra_; }

 private:
  RingView view_;
  View<std::byte> obs_;
  View<std::uint32_t> records_;
  View<float> extra_;
  std::int64_t head_ = 0;
  std::int64_t base_ = 0;  // row in slot 0
};

}  // namespace stampede
