// SPDX-License-Identifier: Apache-2.0
// The plain policy gradient: log-probability times advantage (Williams 1992, REINFORCE; Mnih et al. 2016,
// arXiv:1602.01783, section 4, advantage actor-critic), with an entropy bonus and a squared value error.
#pragma once

#include "agents/losses/policy_loss.h"

namespace stampede {

struct PolicyGradientLoss {
  float entropy_weight = 0.0f;
  float value_weight = 0.5f;  // 0: no critic
};

// The advantage is a constant here: nothing flows through it into the critic.
HD float surrogate_gradient(const PolicyGradientLoss& /*loss*/, const PolicySample& sample, float log_prob,
                            float* metrics) {
  const float log_ratio = log_prob - sample.old_log_prob;
  metrics[PolicyRowMetrics::kPolicyLoss] = -sample.advantage * log_prob;
  const float ratio = exp_of(log_ratio);
  metrics[PolicyRowMetrics::kApproxKl] = (ratio - 1.0f) - log_ratio;
  metrics[PolicyRowMetrics::kClipFraction] = outside_interval(ratio, kReportedClip);
  return -sample.advantage;
}

HD float value_gradient(const PolicyGradientLoss& /*loss*/, const PolicySample& sample, float value, float* metrics) {
  const float error = value - sample.target;
  metrics[PolicyRowMetrics::kValueLoss] = 0.5f * error * error;
  return error;
}

}  // namespace stampede
