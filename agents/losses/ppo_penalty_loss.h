// SPDX-License-Identifier: Apache-2.0
// PPO's surrogate with a penalty on the divergence from the old policy: Schulman et al. 2017, arXiv:1707.06347,
// equation 8.
#pragma once

#include "agents/losses/ppo_loss.h"

namespace stampede {

struct PpoPenaltyLoss {
  const float* kl_weight;  // beta, in device memory
  float entropy_weight = 0.0f;
  float value_weight = 0.5f;
  float clip = kReportedClip;  // interval of the ratio that the clip fraction counts; the ratio itself is not clipped
  float value_clip = 0.0f;     // interval of the value around its old one; 0 = unclipped
};

// KL(old, new) is estimated from the old policy's actions by (ratio - 1) - log ratio: never negative, and its gradient
// (ratio - 1) d(log-probability) has the divergence's own as its mean, for any distribution.
HD float surrogate_gradient(const PpoPenaltyLoss& loss, const PolicySample& sample, float log_prob, float* metrics) {
  const float log_ratio = log_prob - sample.old_log_prob;
  const float ratio = exp_of(log_ratio);
  const float divergence = (ratio - 1.0f) - log_ratio;
  metrics[PolicyRowMetrics::kPolicyLoss] = fused(*loss.kl_weight, divergence, -sample.advantage * ratio);
  metrics[PolicyRowMetrics::kApproxKl] = divergence;
  metrics[PolicyRowMetrics::kClipFraction] = outside_interval(ratio, loss.clip);
  return fused(*loss.kl_weight, ratio - 1.0f, -sample.advantage * ratio);
}

HD float value_gradient(const PpoPenaltyLoss& loss, const PolicySample& sample, float value, float* metrics) {
  return clipped_value_gradient(loss.value_clip, sample, value, metrics);
}

}  // namespace stampede
