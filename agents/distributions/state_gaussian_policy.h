// SPDX-License-Identifier: Apache-2.0
// A diagonal Gaussian whose means and log sigmas both depend on the state.
#pragma once

#include "agents/distributions.h"

namespace stampede {

// Of a distribution over actions [size]: outputs are what the policy's head gives for one row, raw what the policy
// itself draws and the learner keeps, executed() what the environment gets. Here outputs = [means, log sigmas].
struct StateGaussianPolicy {
  static constexpr float kLow = -20.0f, kHigh = 2.0f;  // of log sigma; outside its derivative is zero
  int size;
  float initial_log_sigma;  // added to the head's output, which starts near 0

  HD float log_sigma(const float* outputs, int k) const {
    return clamp(initial_log_sigma + outputs[size + k], kLow, kHigh);
  }
  HD void sample(const float* outputs, Rng& rng, float* raw) const {
    for (int k = 0; k < size; ++k) {
      const std::uint32_t first = rng.next_word(), second = rng.next_word();
      raw[k] = fused(exp_of(log_sigma(outputs, k)), standard_normal(first, second), outputs[k]);
    }
  }
  HD void mode(const float* outputs, float* raw) const {
    for (int k = 0; k < size; ++k) raw[k] = outputs[k];
  }
  HD float executed(float raw, float low, float high) const { return clamp(raw, low, high); }
  template <class Raw>
  HD float log_prob(const float* outputs, const Raw& raw) const {
    float sum = 0.0f;
    for (int k = 0; k < size; ++k) {
      const float log_s = log_sigma(outputs, k);
      sum += gaussian_log_prob((raw[k] - outputs[k]) * exp_of(-log_s), log_s);
    }
    return sum;
  }
  template <class Raw>
  HD float entropy(const float* outputs, const Raw& /*raw*/) const {
    float sum = 0.0f;
    for (int k = 0; k < size; ++k) sum += gaussian_entropy(log_sigma(outputs, k));
    return sum;
  }
  // Of d_log_prob * log_prob + d_entropy * entropy.
  template <class Raw>
  HD void gradient(const float* outputs, const Raw& raw, float d_log_prob, float d_entropy, float* d_outputs) const {
    for (int k = 0; k < size; ++k) {
      const float unclipped = initial_log_sigma + outputs[size + k], log_s = log_sigma(outputs, k);
      const float inverse = exp_of(-log_s), z = (raw[k] - outputs[k]) * inverse;
      d_outputs[k] = d_log_prob * z * inverse;
      d_outputs[size + k] = unclipped == log_s ? d_log_prob * (z * z - 1.0f) + d_entropy : 0.0f;
    }
  }
};

}  // namespace stampede
