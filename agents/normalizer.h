// SPDX-License-Identifier: Apache-2.0
// Running statistics of observations and of discounted returns, frozen during an iteration and merged once at its end.
#pragma once

#include "kernels/arena.h"
#include "kernels/math.h"
#include "kernels/stream.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// Count, mean and sum of squared deviations of one quantity, merged by Chan, Golub & LeVeque 1979.
struct RunningMoments {
  double count, mean, squares;

  HD void merge(double other_count, double other_mean, double other_squares) {
    if (other_count == 0.0) return;
    const double total = count + other_count;
    const double delta = other_mean - mean;
    mean += delta * other_count / total;
    squares += other_squares + delta * delta * count * other_count / total;
    count = total;
  }
  HD double variance() const { return count > 1.0 ? squares / count : 1.0; }
};

// (observation - mean) / deviation, clipped to +-10.
HD float normalized_observation(float x, float mean, float inverse_deviation) {
  return clamp((x - mean) * inverse_deviation, -10.0f, 10.0f);
}

// The network's input stage: normalized_observation() of every component. With enabled = false it is the
// identity. The ring keeps raw observations, so a row looks the same in rollout and update and PPO's first ratio is
// exactly 1.
class ObservationNormalizer {
 public:
  ObservationNormalizer(bool enabled, const RingShape& shape, Arena& arena);

  bool enabled() const { return enabled_; }
  const float* mean() const { return mean_.data; }        // [D]
  const float* inverse() const { return inverse_.data; }  // [D], 1 / deviation
  // Sets mean 0 and deviation 1.
  void initialize(const Stream& stream);
  // Merges the valid rows of slots 0 ... T - 1. Stream-ordered.
  void update(const Stream& stream, const RingView& ring);

  View<RunningMoments> moments() const { return moments_; }
  // After moments were restored from a checkpoint.
  void refresh(const Stream& stream);

 private:
  bool enabled_;
  int size_;
  View<RunningMoments> moments_;   // [D]
  View<RunningMoments> partials_;  // [parts of the rollout, D]
  View<float> mean_;               // [D]
  View<float> inverse_;            // [D]
};

// Rewards are divided by the deviation of the running discounted return (as in Engstrom et al. 2020, section 3).
class RewardScaler {
 public:
  RewardScaler(bool enabled, int environments, Arena& arena);

  // Device pointer to the factor, null when off.
  const float* scale() const { return enabled_ ? scale_.data : nullptr; }
  void initialize(const Stream& stream);
  // Runs the discounted return of every environment through slots 0 ... T - 1 and merges its moments. Stream-ordered.
  void update(const Stream& stream, const RingView& ring, float gamma);

  bool enabled() const { return enabled_; }
  View<RunningMoments> moments() const { return moments_; }
  View<float> running_returns() const { return running_; }
  void refresh(const Stream& stream);

 private:
  bool enabled_;
  View<RunningMoments> moments_;   // [1]
  View<RunningMoments> partials_;  // [N]
  View<float> running_;            // [N]
  View<float> scale_;              // [1]
};

}  // namespace stampede
