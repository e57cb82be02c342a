// SPDX-License-Identifier: Apache-2.0
// Value distributions by quantile regression: Dabney et al. 2018 (arXiv:1710.10044), equation 10 and algorithm 1
// (QR-DQN).
#pragma once

#include "agents/losses/atoms.h"
#include "agents/losses/dqn_loss.h"

namespace stampede {

// Adds the loss of one target sample of probability `weight`: sum_i weight |tau_i - [u_i < 0]| L_kappa(u_i) / kappa
// with u_i = target - theta_i and tau_i = (2 i + 1) / (2 atoms), to losses [padded] and its derivatives with respect to
// theta_i to d [padded]. theta [padded]; padding gives values that nobody reads. kappa = 0 is plain quantile
// regression.
HD void add_quantile_gradient(const float* theta, int atoms, int padded, float target, float weight, float kappa,
                              float* losses, float* d) {
  const float step = 1.0f / static_cast<float>(atoms);
  const float inverse = kappa > 0.0f ? 1.0f / kappa : 1e30f;
  for (int k = 0; k < padded; ++k) {
    const float u = target - theta[k];
    const float magnitude = u < 0.0f ? -u : u;
    const float tau = (static_cast<float>(k) + 0.5f) * step;
    const float tilt = weight * (u < 0.0f ? 1.0f - tau : tau);
    const float quadratic = 0.5f * u * u * inverse, linear = magnitude - 0.5f * kappa;
    losses[k] = fused(tilt, magnitude <= kappa ? quadratic : linear, losses[k]);
    d[k] = fused(-tilt, clamp(u * inverse, -1.0f, 1.0f), d[k]);
  }
}

// Mean of theta [padded] over `atoms` quantiles.
HD float mean_of_quantiles(const float* theta, int atoms, int padded) {
  float values[kMaxAtoms];
  for (int k = 0; k < padded; ++k) values[k] = k < atoms ? theta[k] : 0.0f;
  return sum_of_atoms(values, padded) / static_cast<float>(atoms);
}

}  // namespace stampede
