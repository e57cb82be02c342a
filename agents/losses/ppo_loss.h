// SPDX-License-Identifier: Apache-2.0
// PPO's clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, equations 7 and 9) and its gradient, row by row.
#pragma once

#include "agents/losses/policy_loss.h"

namespace stampede {

struct PpoLossConfig {
  float clip = 0.2f;            // epsilon of the ratio's interval [1 - clip, 1 + clip]
  float value_clip = 0.0f;      // interval of the value around its old one; 0 = unclipped
  float entropy_weight = 0.0f;  // c2
  float value_weight = 0.5f;    // c1
};

// The minimum of equation 7 passes no gradient where the ratio has already left the interval in the direction that the
// advantage asks for.
HD float surrogate_gradient(const PpoLossConfig& config, const PolicySample& sample, float log_prob, float* metrics) {
  const float log_ratio = log_prob - sample.old_log_prob;
  const float ratio = exp_of(log_ratio);
  const float a = sample.advantage;
  const float clipped = clamp(ratio, 1.0f - config.clip, 1.0f + config.clip);
  const bool held = ((a >= 0.0f) & (ratio > 1.0f + config.clip)) | ((a < 0.0f) & (ratio < 1.0f - config.clip));
  metrics[PolicyRowMetrics::kPolicyLoss] = held ? -a * clipped : -a * ratio;
  metrics[PolicyRowMetrics::kApproxKl] = (ratio - 1.0f) - log_ratio;
  metrics[PolicyRowMetrics::kClipFraction] = outside_interval(ratio, config.clip);
  return held ? 0.0f : -a * ratio;
}

// Half the squared error, or (value_clip > 0) the larger of it and that of the clipped value.
HD float clipped_value_gradient(float value_clip, const PolicySample& sample, float value, float* metrics) {
  const float error = value - sample.target;
  float loss = 0.5f * error * error;
  float gradient = error;
  if (value_clip > 0.0f) {
    const float moved = value - sample.old_value;
    const float bounded = clamp(moved, -value_clip, value_clip);
    const float clipped_error = sample.old_value + bounded - sample.target;
    const float clipped_loss = 0.5f * clipped_error * clipped_error;
    const bool worse = (moved != bounded) & (clipped_loss > loss);
    loss = worse ? clipped_loss : loss;
    gradient = worse ? 0.0f : gradient;
  }
  metrics[PolicyRowMetrics::kValueLoss] = loss;
  return gradient;
}

HD float value_gradient(const PpoLossConfig& config, const PolicySample& sample, float value, float* metrics) {
  return clipped_value_gradient(config.value_clip, sample, value, metrics);
}

}  // namespace stampede
