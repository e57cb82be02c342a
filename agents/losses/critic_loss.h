// SPDX-License-Identifier: Apache-2.0
// The loss of one or two action-value functions with a common target: Haarnoja et al. 2018 (arXiv:1812.05905),
// equation 5; Fujimoto et al. 2018 (arXiv:1802.09477), algorithm 1.
#pragma once

#include "kernels/math.h"

namespace stampede {

inline constexpr int kMaxCritics = 2;

struct CriticRowMetrics {
  static constexpr int kLoss = 0, kQ = 1, kAbsoluteError = 2, kTarget = 3, kCount = 4;
  static constexpr int kSize = 5;
};

// Clipped double Q-learning: the critic with the smaller value. stride: floats from one critic's value to the next's.
HD int smallest_critic(const float* q, int critics, int stride) { return critics > 1 && q[stride] < q[0] ? 1 : 0; }

// The sum over critics of 1/2 (Q_k - target)^2: d_q[k * stride], times weight; q is the mean in the metrics.
HD void critic_gradient(const float* q, int critics, int stride, float target, float weight, float* d_q,
                        float* metrics) {
  float loss = 0.0f, sum = 0.0f, absolute = 0.0f;
  for (int k = 0; k < critics; ++k) {
    const float error = q[k * stride] - target;
    d_q[k * stride] = weight * error;
    loss = fused(0.5f * error, error, loss);
    sum += q[k * stride];
    absolute += error < 0.0f ? -error : error;
  }
  const float share = 1.0f / static_cast<float>(critics);
  metrics[CriticRowMetrics::kLoss] = loss;
  metrics[CriticRowMetrics::kQ] = sum * share;
  metrics[CriticRowMetrics::kAbsoluteError] = absolute * share;
  metrics[CriticRowMetrics::kTarget] = target;
  metrics[CriticRowMetrics::kCount] = 1.0f;
}

}  // namespace stampede
