// SPDX-License-Identifier: Apache-2.0
// A state-dependent Gaussian squashed by tanh into the action bounds, as an on-policy distribution.
#pragma once

#include "agents/distributions/squashed_gaussian.h"
#include "agents/distributions/state_gaussian_policy.h"

namespace stampede {

// raw is the sample before tanh. Densities are per unit of tanh(raw); a scale would add a constant that no gradient or
// ratio sees. The entropy has no closed form: -log_prob of the sample estimates it.
struct SquashedGaussianPolicy {
  StateGaussianPolicy gaussian;

  HD void sample(const float* outputs, Rng& rng, float* raw) const { gaussian.sample(outputs, rng, raw); }
  HD void mode(const float* outputs, float* raw) const { gaussian.mode(outputs, raw); }
  HD float executed(float raw, float low, float high) const {
    return clamp(fused(0.5f * (high - low), tanh_of(raw), 0.5f * (high + low)), low, high);
  }
  template <class Raw>
  HD float log_prob(const float* outputs, const Raw& raw) const {
    float sum = gaussian.log_prob(outputs, raw);
    for (int k = 0; k < gaussian.size; ++k) sum -= log_tanh_slope(raw[k]);
    return sum;
  }
  template <class Raw>
  HD float entropy(const float* outputs, const Raw& raw) const {
    return -log_prob(outputs, raw);
  }
  // The entropy moves with the sample at fixed noise (reparameterisation): d H = d(log sigma) - 2 tanh(u) du.
  template <class Raw>
  HD void gradient(const float* outputs, const Raw& raw, float d_log_prob, float d_entropy, float* d_outputs) const {
    gaussian.gradient(outputs, raw, d_log_prob, d_entropy, d_outputs);
    for (int k = 0; k < gaussian.size; ++k) {
      const float d_u = -2.0f * tanh_of(raw[k]) * d_entropy;
      const float unclipped = gaussian.initial_log_sigma + outputs[gaussian.size + k];
      d_outputs[k] += d_u;
      if (unclipped == gaussian.log_sigma(outputs, k)) d_outputs[gaussian.size + k] += d_u * (raw[k] - outputs[k]);
    }
  }
};

}  // namespace stampede
