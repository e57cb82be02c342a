// SPDX-License-Identifier: Apache-2.0
// The part that the losses of all policy-gradient methods share: from d(loss)/d(log-probability) to the gradient of a
// distribution's parameters (the policy gradient theorem, Sutton et al. 1999), with an entropy bonus.
//
// A Loss has entropy_weight and value_weight and two functions found by overloading, which also write the row's
// metrics: surrogate_gradient(loss, sample, log_prob, metrics) = d(policy loss)/d(log-probability), and
// value_gradient(loss, sample, value, metrics) = d(value loss)/d(value).
#pragma once

#include "agents/distributions.h"

namespace stampede {

// What the rollout recorded of one row; advantage is already normalised.
struct PolicySample {
  float old_log_prob, old_value, advantage, target;
};

// Sums over rows that metrics are made of.
struct PolicyRowMetrics {
  static constexpr int kPolicyLoss = 0, kValueLoss = 1, kEntropy = 2, kApproxKl = 3, kClipFraction = 4, kCount = 5;
  static constexpr int kTarget = 6, kTargetSquared = 7, kResidual = 8, kResidualSquared = 9;
  static constexpr int kSize = 10;
};

// A method that clips nothing reports how many ratios are further from 1 than PPO's usual interval allows.
inline constexpr float kReportedClip = 0.2f;

HD float outside_interval(float ratio, float clip) {
  return ratio != clamp(ratio, 1.0f - clip, 1.0f + clip) ? 1.0f : 0.0f;
}

// What the metrics say about the targets, whatever the loss.
HD void measure_target(const PolicySample& sample, float* metrics) {
  const float residual = sample.target - sample.old_value;
  metrics[PolicyRowMetrics::kCount] = 1.0f;
  metrics[PolicyRowMetrics::kTarget] = sample.target;
  metrics[PolicyRowMetrics::kTargetSquared] = sample.target * sample.target;
  metrics[PolicyRowMetrics::kResidual] = residual;
  metrics[PolicyRowMetrics::kResidualSquared] = residual * residual;
}

// Gradient with respect to logits [n]; weight multiplies every derivative.
template <class Loss>
HD void categorical_policy_gradient(const Loss& loss, const PolicySample& sample, const float* logits, int n,
                                    int action, float weight, float* d_logits, float* metrics) {
  const float normalizer = log_sum_exp(logits, n);
  const float entropy = categorical_entropy(logits, n, normalizer);
  const float d_log_prob = surrogate_gradient(loss, sample, value_at(logits, n, action) - normalizer, metrics);
  metrics[PolicyRowMetrics::kEntropy] = entropy;
#pragma GCC unroll 4
  for (int j = 0; j < n; ++j) {
    const float log_p = logits[j] - normalizer;
    const float p = exp_of(log_p);
    const float chosen = j == action ? 1.0f : 0.0f;
    d_logits[j] = weight * (d_log_prob * (chosen - p) + loss.entropy_weight * p * (log_p + entropy));
  }
}

// action [n]. Gradient with respect to means [n] and to the state-independent log sigma [n] of a diagonal Gaussian.
template <class Loss, class Action>
HD void gaussian_policy_gradient(const Loss& loss, const PolicySample& sample, const float* means,
                                 const float* log_sigma, const Action& action, int n, float weight, float* d_means,
                                 float* d_log_sigma, float* metrics) {
  float log_prob = 0.0f, entropy = 0.0f;
  for (int j = 0; j < n; ++j) {
    log_prob += gaussian_log_prob((action[j] - means[j]) * exp_of(-log_sigma[j]), log_sigma[j]);
    entropy += gaussian_entropy(log_sigma[j]);
  }
  const float d_log_prob = surrogate_gradient(loss, sample, log_prob, metrics);
  metrics[PolicyRowMetrics::kEntropy] = entropy;
  for (int j = 0; j < n; ++j) {
    const float inverse = exp_of(-log_sigma[j]);
    const float z = (action[j] - means[j]) * inverse;
    d_means[j] = weight * d_log_prob * z * inverse;
    d_log_sigma[j] = weight * (d_log_prob * (z * z - 1.0f) - loss.entropy_weight);
  }
}

// Gradient with respect to the outputs of any distribution whose parameters are all outputs (agents/distributions/).
template <class Loss, class Policy, class Raw>
HD void continuous_policy_gradient(const Loss& loss, const PolicySample& sample, const Policy& policy,
                                   const float* outputs, const Raw& raw, float weight, float* d_outputs,
                                   float* metrics) {
  const float d_log_prob = surrogate_gradient(loss, sample, policy.log_prob(outputs, raw), metrics);
  metrics[PolicyRowMetrics::kEntropy] = policy.entropy(outputs, raw);
  policy.gradient(outputs, raw, weight * d_log_prob, -weight * loss.entropy_weight, d_outputs);
}

}  // namespace stampede
