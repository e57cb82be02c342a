// SPDX-License-Identifier: Apache-2.0
// Independent Beta distributions on bounded actions: Chou, Maturana & Scherer 2017, "Improving stochastic policy
// gradients in continuous control with deep reinforcement learning using the Beta distribution".
#pragma once

#include "agents/distributions/gamma_functions.h"
#include "agents/distributions/squashed_gaussian.h"

namespace stampede {

// outputs = [size of a, size of b]; a, b = 1 + softplus(output), so that densities have one peak. raw is in (0, 1) and
// densities are per unit of it.
struct BetaPolicy {
  static constexpr float kMargin = 1e-6f;  // raw keeps this distance from 0 and 1
  int size;

  HD float shape(const float* outputs, int k) const { return 1.0f + softplus(outputs[k]); }

  // A Gamma(shape, 1) variate for shape >= 1: Marsaglia & Tsang 2000. A proposal is refused less than once in twenty.
  HD static float sample_gamma(float shape, Rng& rng) {
    constexpr int kTries = 16;
    const float d = shape - 0.33333334f, c = 1.0f / square_root(9.0f * d);
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const std::uint32_t first = rng.next_word(), second = rng.next_word();
      const float u = uniform_float_open(rng.next_word()), x = standard_normal(first, second);
      const float root = 1.0f + c * x, v = root * root * root;
      if (root > 0.0f && log_of(u) < 0.5f * x * x + d * (1.0f - v + log_of(v))) return d * v;
    }
    return d;
  }
  HD void sample(const float* outputs, Rng& rng, float* raw) const {
    for (int k = 0; k < size; ++k) {
      const float a = sample_gamma(shape(outputs, k), rng), b = sample_gamma(shape(outputs, size + k), rng);
      raw[k] = clamp(a / (a + b), kMargin, 1.0f - kMargin);
    }
  }
  // The mean: unlike the mode it exists for a = b = 1 too.
  HD void mode(const float* outputs, float* raw) const {
    for (int k = 0; k < size; ++k) {
      const float a = shape(outputs, k), b = shape(outputs, size + k);
      raw[k] = clamp(a / (a + b), kMargin, 1.0f - kMargin);
    }
  }
  HD float executed(float raw, float low, float high) const { return clamp(fused(high - low, raw, low), low, high); }
  template <class Raw>
  HD float log_prob(const float* outputs, const Raw& raw) const {
    float sum = 0.0f;
    for (int k = 0; k < size; ++k) {
      const float a = shape(outputs, k), b = shape(outputs, size + k);
      sum += (a - 1.0f) * log_of(raw[k]) + (b - 1.0f) * log_of(1.0f - raw[k]) - log_beta(a, b);
    }
    return sum;
  }
  template <class Raw>
  HD float entropy(const float* outputs, const Raw& /*raw*/) const {
    float sum = 0.0f;
    for (int k = 0; k < size; ++k) {
      const float a = shape(outputs, k), b = shape(outputs, size + k);
      sum += log_beta(a, b) - (a - 1.0f) * digamma(a) - (b - 1.0f) * digamma(b) + (a + b - 2.0f) * digamma(a + b);
    }
    return sum;
  }
  // Of d_log_prob * log_prob + d_entropy * entropy.
  template <class Raw>
  HD void gradient(const float* outputs, const Raw& raw, float d_log_prob, float d_entropy, float* d_outputs) const {
    for (int k = 0; k < size; ++k) {
      const float a = shape(outputs, k), b = shape(outputs, size + k);
      const float both = digamma(a + b), spread = (a + b - 2.0f) * trigamma(a + b);
      const float d_a =
          d_log_prob * (log_of(raw[k]) - digamma(a) + both) + d_entropy * (spread - (a - 1.0f) * trigamma(a));
      const float d_b =
          d_log_prob * (log_of(1.0f - raw[k]) - digamma(b) + both) + d_entropy * (spread - (b - 1.0f) * trigamma(b));
      d_outputs[k] = d_a * sigmoid(outputs[k]);
      d_outputs[size + k] = d_b * sigmoid(outputs[size + k]);
    }
  }

 private:
  HD static float log_beta(float a, float b) { return log_gamma(a) + log_gamma(b) - log_gamma(a + b); }
  HD static float sigmoid(float x) { return 0.5f + 0.5f * tanh_of(0.5f * x); }
};

}  // namespace stampede
