// SPDX-License-Identifier: Apache-2.0
// The temporal-difference loss of deep Q-learning: Mnih et al. 2015 (Nature 518), equation 2 and the error clipping.
#pragma once

#include "agents/distributions.h"

namespace stampede {

enum class TdLoss { kHuber, kSquared };

// Sums over rows that the metrics of every method with action values are made of. The loss is the one before importance
// weights; the absolute error compares the means where distributions are learnt.
struct DqnRowMetrics {
  static constexpr int kLoss = 0, kQ = 1, kAbsoluteError = 2, kTarget = 3, kCount = 4;
  static constexpr int kSize = 5;
};

HD void set_row_metrics(float loss, float q, float target, float* metrics) {
  const float error = q - target;
  metrics[DqnRowMetrics::kLoss] = loss;
  metrics[DqnRowMetrics::kQ] = q;
  metrics[DqnRowMetrics::kAbsoluteError] = error < 0.0f ? -error : error;
  metrics[DqnRowMetrics::kTarget] = target;
  metrics[DqnRowMetrics::kCount] = 1.0f;
}

// y = reward + discount * max_a Q_target(s', a); the discount is 0 after a termination.
HD float q_learning_target(const float* target_q, int actions, float reward, float discount) {
  return fused(discount, target_q[argmax(target_q, actions)], reward);
}

// Huber with threshold 1 (the gradient is the error clipped to [-1, 1]) or half the squared error.
HD float td_gradient(TdLoss loss, float q, float target, float* metrics) {
  const float error = q - target;
  const float magnitude = error < 0.0f ? -error : error;
  const bool linear = loss == TdLoss::kHuber && magnitude > 1.0f;
  set_row_metrics(linear ? magnitude - 0.5f : 0.5f * error * error, q, target, metrics);
  return linear ? clamp(error, -1.0f, 1.0f) : error;
}

}  // namespace stampede
