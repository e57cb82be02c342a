// SPDX-License-Identifier: Apache-2.0
// PPO's surrogate with a penalty on the divergence from the old policy: Schulman et al. 2017, arXiv:1707.06347,
// equation 8.
#pragma once

#include "agents/losses/policy_loss.h"

namespace stampede {

struct PpoPenaltyLoss {
  const float* kl_weight;  // beta, in device memory
  float entropy_weight = 0.0f;
  float value_weight = 0.5f;
};

// KL(old, new) is estimated from the old policy's actions by (ratio - 1) - log ratio: never negative, and its gradient
// (ratio - 1) d(log-probability) has the divergence's own as its mean, for any distribution.
HD float surrogate_gradient(const PpoPenaltyLoss& loss, const PolicySample& sample, float log_prob, float* metrics) {
  const float log_ratio = log_prob - sample.old_log_prob;
  const float ratio = exp_of(log_ratio);
  const float divergence = (ratio - 1.0f) - log_ratio;
  metrics[PolicyRowMetrics::kPolicyLoss] = fused(*loss.kl_weight, divergence, -sample.advantage * ratio);
  metrics[PolicyRowMetrics::kApproxKl] = divergence;
  metrics[PolicyRowMetrics::kClipFraction] = 0.0f;
  return fused(*loss.kl_weight, ratio - 1.0f, -sample.advantage * ratio);
}

HD float value_gradient(const PpoPenaltyLoss& /*loss*/, const PolicySample& sample, float value, float* metrics) {
  const float error = value - sample.target;
  metrics[PolicyRowMetrics::kValueLoss] = 0.5f * error * error;
  return error;
}

}  // namespace stampede
