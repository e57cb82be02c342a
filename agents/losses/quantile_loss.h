// SPDX-License-Identifier: Apache-2.0
// Value distributions by quantile regression: Dabney et al. 2018 (arXiv:1710.10044), equation 10 and algorithm 1
// (QR-DQN).
#pragma once

#include "agents/losses/atoms.h"
#include "agents/losses/dqn_loss.h"

namespace stampede {

// Quantile regression of `atoms` quantiles tau_i = (2 i + 1) / (2 atoms). kappa = 0 is plain quantile regression.
class QuantileRegression {
 public:
  HD QuantileRegression(int atoms, float kappa)
      : step_(1.0f / static_cast<float>(atoms)), kappa_(kappa), inverse_(kappa > 0.0f ? 1.0f / kappa : 1e30f) {}

  // Adds weight |tau_i - [u < 0]| L_kappa(u) / kappa with u = target - theta to loss, and its derivative with respect
  // to theta to d.
  HD void add(int i, float theta, float target, float weight, float& loss, float& d) const {
    const float u = target - theta;
    const bool negative = u < 0.0f;
    const float magnitude = negative ? -u : u;
    const bool outside = magnitude > kappa_;  // false for NaN, which then stays one
    const float tau = (static_cast<float>(i) + 0.5f) * step_;
    const float tilt = weight * (negative ? 1.0f - tau : tau);
    const float quadratic = 0.5f * u * u * inverse_, linear = magnitude - 0.5f * kappa_;
    loss = fused(tilt, outside ? linear : quadratic, loss);
    d = fused(-tilt, outside ? (negative ? -1.0f : 1.0f) : u * inverse_, d);
  }

 private:
  float step_, kappa_, inverse_;
};

// Adds the losses of all quantiles theta [padded] against the target samples reward + discount next_j, each of
// probability `weight`, to losses [padded] and the derivatives to d [padded], in ascending order of j. Padding of theta
// gives values that nobody reads.
HD void add_quantile_gradients(const WholeRow& /*lanes*/, const QuantileRegression& regression, const float* theta,
                               const float* next, int atoms, int padded, float reward, float discount, float weight,
                               float* losses, float* d) {
  for (int j = 0; j < atoms; ++j) {
    const float target = fused(discount, next[j], reward);
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < padded; ++k) regression.add(k, theta[k], target, weight, losses[k], d[k]);
  }
}

// Of theta [padded] with zero padding.
template <class Lanes>
HD float mean_of_quantiles(const Lanes& lanes, const float* theta, int atoms, int padded) {
  return sum_of_atoms(lanes, theta, padded) / static_cast<float>(atoms);
}

}  // namespace stampede
