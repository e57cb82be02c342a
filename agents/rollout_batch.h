// SPDX-License-Identifier: Apache-2.0
// Batches of a rollout: a permutation's slice gathered side by side or all rows in order, and the moments of their
// advantages.
#pragma once

#include "agents/minibatch.h"
#include "kernels/arena.h"
#include "kernels/space.h"
#include "replay/returns.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// The continuous action of one row.
struct RawAction {
  const float* first;
  int stride;
  HD float operator[](int j) const { return first[j * stride]; }
};

// Rows side by side: random reads of the ring happen once, with prefetching, and the loss vectorises.
struct RolloutBatch {
  std::uint32_t* obs = nullptr;    // [M, D], as in the ring
  std::int32_t* action = nullptr;  // [M], discrete
  float* raw_action = nullptr;     // [A, M], continuous: the policy's own sample
  float* old_log_prob = nullptr;   // [M]
  float* old_value = nullptr;      // [M]
  float* advantage = nullptr;      // [M]
  float* target = nullptr;         // [M], the return
  std::int32_t* valid = nullptr;   // [M], 0 or 1
  int stride = 0;                  // M, of raw_action's columns

  HD RawAction raw(int m) const { return {raw_action + m, stride}; }

  static RolloutBatch take(const RingShape& shape, const Space& action, int rows, Arena& arena);
  // Without observations, for batches that read them in the ring.
  static RolloutBatch take_fields(const Space& action, int rows, Arena& arena);
};
void gather_minibatch(const Stream& stream, const RingView& ring, const Space& action, const Minibatch& minibatch,
                      const RolloutBatch& batch);
// All T * N rows in ring order, without observations: row m of ring.obs belongs to row m. Stream-ordered.
void copy_rollout(const Stream& stream, const RingView& ring, const Space& action, const RolloutBatch& batch);

// Over the minibatch's valid rows; divisor = 1 / max(1, valid rows).
struct MinibatchMoments {
  float advantage_mean, advantage_inverse, divisor;
};
inline constexpr int kMomentParts = 64;
struct MomentPart {
  double count, sum, squares;
};
// kNone leaves advantages as they are, kCenter subtracts their mean (a constant baseline), kNormalize also divides by
// their deviation.
enum class AdvantageScaling { kNone, kCenter, kNormalize };
HD MinibatchMoments finish_moments(const MomentPart& total, AdvantageScaling scaling) {
  const double count = total.count > 1.0 ? total.count : 1.0;
  const double mean = total.sum / count;
  // Unbiased, as in most published implementations; a single valid row has no spread to divide by.
  const double variance = total.count > 1.0 ? (total.squares - total.sum * mean) / (total.count - 1.0) : 0.0;
  const float deviation = square_root(variance > 0.0 ? static_cast<float>(variance) : 0.0f);
  const bool center = scaling != AdvantageScaling::kNone && total.count > 1.0;
  const bool divide = scaling == AdvantageScaling::kNormalize && total.count > 1.0;
  return {center ? static_cast<float>(mean) : 0.0f, divide ? 1.0f / (deviation + 1e-8f) : 1.0f,
          static_cast<float>(1.0 / count)};
}
// Stream-ordered.
void measure_minibatch(const Stream& stream, const RolloutBatch& batch, int size, AdvantageScaling scaling,
                       MomentPart* parts, MinibatchMoments* moments);

}  // namespace stampede
