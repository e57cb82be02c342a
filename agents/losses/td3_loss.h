// SPDX-License-Identifier: Apache-2.0
// The deterministic policy gradient's row functions: Silver et al. 2014; Lillicrap et al. 2016 (arXiv:1509.02971);
// target policy smoothing of Fujimoto et al. 2018 (arXiv:1802.09477), equation 14; the Gumbel-softmax of Jang et al.
// 2017 (arXiv:1611.01144), equations 1 and 2, for discrete actions.
#pragma once

#include "agents/distributions.h"

namespace stampede {

struct Td3RowMetrics {
  static constexpr int kPolicyLoss = 0, kCount = 1;
  static constexpr int kSize = 2;
};

// clip(a + clip(noise, -limit, limit), -1, 1): the noise is each sample's own.
HD float smoothed_action(float action, float noise, float limit) {
  return clamp(action + clamp(noise, -limit, limit), -1.0f, 1.0f);
}

// -log(-log u) of u in (0, 1), from one word.
HD float gumbel(std::uint32_t word) {
  const float u = fused(uniform_float(word), 1.0f - 0x1p-23f, 0x1p-24f);
  return -log_of(-log_of(u));
}

// softmax(logits / temperature) in place.
HD void soften(float* logits, int n, float temperature) {
  const float inverse = 1.0f / temperature;
  for (int j = 0; j < n; ++j) logits[j] *= inverse;
  const float normalizer = log_sum_exp(logits, n);
  for (int j = 0; j < n; ++j) logits[j] = exp_of(logits[j] - normalizer);
}

// d_logits of a softened row p, given the derivatives by the action it stands for.
HD void softened_gradient(const float* p, const float* d_action, int n, float temperature, float* d_logits) {
  float mean = 0.0f;
  for (int j = 0; j < n; ++j) mean = fused(p[j], d_action[j], mean);
  for (int j = 0; j < n; ++j) d_logits[j] = p[j] * (d_action[j] - mean) / temperature;
}

}  // namespace stampede
