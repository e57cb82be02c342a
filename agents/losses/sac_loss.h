// SPDX-License-Identifier: Apache-2.0
// The losses of soft actor-critic: Haarnoja et al. 2018 (arXiv:1812.05905), equations 3, 7 and 9; the separate value
// function is that of arXiv:1801.01290, equation 5.
#pragma once

#include "agents/distributions/squashed_gaussian.h"

namespace stampede {

struct SacRowMetrics {
  static constexpr int kPolicyLoss = 0, kLogProb = 1, kQ = 2, kValueLoss = 3, kCount = 4;
  static constexpr int kSize = 5;
};

// V(s) = E[Q(s, a) - alpha log pi(a | s)], equation 3, from one sampled action.
HD float soft_value(float q, float log_prob, float alpha) { return fused(-alpha, log_prob, q); }

// alpha log pi(a | s) - Q(s, a), equations 7 and 9, of one row: `d_q` is the derivative by Q of what the critic passes
// back; the policy's own follows in squashed_gradient with d_log_prob = alpha.
HD float sac_policy_loss(float q, float log_prob, float alpha, float* d_q, float* metrics) {
  *d_q = -1.0f;
  const float loss = -soft_value(q, log_prob, alpha);
  metrics[SacRowMetrics::kPolicyLoss] = loss;
  metrics[SacRowMetrics::kLogProb] = log_prob;
  metrics[SacRowMetrics::kQ] = q;
  metrics[SacRowMetrics::kValueLoss] = 0.0f;
  metrics[SacRowMetrics::kCount] = 1.0f;
  return loss;
}

// 1/2 (V(s) - target)^2 and its derivative.
HD float value_function_gradient(float value, float target, float* metrics) {
  const float error = value - target;
  metrics[SacRowMetrics::kValueLoss] = 0.5f * error * error;
  return error;
}

}  // namespace stampede
