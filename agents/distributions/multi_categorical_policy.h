// SPDX-License-Identifier: Apache-2.0
// Independent categorical distributions, one per action dimension, over evenly spaced actions: Tang & Agrawal 2020,
// arXiv:1901.10500, "Discretizing continuous action space for on-policy optimization".
#pragma once

#include "agents/distributions.h"

namespace stampede {

// outputs = logits [size, bins]; raw is the chosen bin of each dimension, as a float.
struct MultiCategoricalPolicy {
  int size, bins;

  HD void sample(const float* outputs, Rng& rng, float* raw) const {
    for (int k = 0; k < size; ++k) {
      const float* const logits = outputs + k * bins;
      raw[k] = static_cast<float>(sample_categorical(logits, bins, log_sum_exp(logits, bins), rng.uniform()));
    }
  }
  HD void mode(const float* outputs, float* raw) const {
    for (int k = 0; k < size; ++k) raw[k] = static_cast<float>(argmax(outputs + k * bins, bins));
  }
  HD float executed(float raw, float low, float high) const {
    return clamp(fused((high - low) / static_cast<float>(bins - 1), raw, low), low, high);
  }
  template <class Raw>
  HD float log_prob(const float* outputs, const Raw& raw) const {
    float sum = 0.0f;
    for (int k = 0; k < size; ++k) {
      const float* const logits = outputs + k * bins;
      sum += logits[static_cast<int>(raw[k])] - log_sum_exp(logits, bins);
    }
    return sum;
  }
  template <class Raw>
  HD float entropy(const float* outputs, const Raw& /*raw*/) const {
    float sum = 0.0f;
    for (int k = 0; k < size; ++k) {
      const float* const logits = outputs + k * bins;
      sum += categorical_entropy(logits, bins, log_sum_exp(logits, bins));
    }
    return sum;
  }
  // Of d_log_prob * log_prob + d_entropy * entropy.
  template <class Raw>
  HD void gradient(const float* outputs, const Raw& raw, float d_log_prob, float d_entropy, float* d_outputs) const {
    for (int k = 0; k < size; ++k) {
      const float* const logits = outputs + k * bins;
      const float normalizer = log_sum_exp(logits, bins), h = categorical_entropy(logits, bins, normalizer);
      const int chosen = static_cast<int>(raw[k]);
      for (int j = 0; j < bins; ++j) {
        const float log_p = logits[j] - normalizer, p = exp_of(log_p);
        d_outputs[k * bins + j] = d_log_prob * ((j == chosen ? 1.0f : 0.0f) - p) - d_entropy * p * (log_p + h);
      }
    }
  }
};

}  // namespace stampede
