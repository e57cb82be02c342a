// SPDX-License-Identifier: Apache-2.0
// PPO's clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, equations 7 and 9) and its gradient, row by row.
#pragma once

#include "agents/distributions.h"

namespace stampede {

struct PpoLossConfig {
  float clip = 0.2f;            // epsilon of the ratio's interval [1 - clip, 1 + clip]
  float value_clip = 0.0f;      // interval of the value around its old one; 0 = unclipped
  float entropy_weight = 0.0f;  // c2
  float value_weight = 0.5f;    // c1
};

// What the rollout recorded of one row; advantage is already normalised.
struct PpoSample {
  float old_log_prob, old_value, advantage, target;
};

// Sums over rows that metrics are made of.
struct PpoRowMetrics {
  static constexpr int kPolicyLoss = 0, kValueLoss = 1, kEntropy = 2, kApproxKl = 3, kClipFraction = 4, kCount = 5;
  static constexpr int kTarget = 6, kTargetSquared = 7, kResidual = 8, kResidualSquared = 9;
  static constexpr int kSize = 10;
};

// d(surrogate)/d(log-probability), and the row's policy metrics. The minimum of equation 7 passes no gradient where the
// ratio has already left the interval in the direction that the advantage asks for.
HD float surrogate_gradient(const PpoLossConfig& config, const PpoSample& sample, float log_prob, float* metrics) {
  const float log_ratio = log_prob - sample.old_log_prob;
  const float ratio = exp_of(log_ratio);
  const float a = sample.advantage;
  const float clipped = clamp(ratio, 1.0f - config.clip, 1.0f + config.clip);
  const bool held = a >= 0.0f ? ratio > 1.0f + config.clip : ratio < 1.0f - config.clip;
  metrics[PpoRowMetrics::kPolicyLoss] = held ? -a * clipped : -a * ratio;
  metrics[PpoRowMetrics::kApproxKl] = (ratio - 1.0f) - log_ratio;
  metrics[PpoRowMetrics::kClipFraction] = ratio != clipped ? 1.0f : 0.0f;
  return held ? 0.0f : -a * ratio;
}

// d(value loss)/d(value): half the squared error, or the larger of it and that of the clipped value.
HD float value_gradient(const PpoLossConfig& config, const PpoSample& sample, float value, float* metrics) {
  const float error = value - sample.target;
  float loss = 0.5f * error * error;
  float gradient = error;
  if (config.value_clip > 0.0f) {
    const float moved = value - sample.old_value;
    const float bounded = clamp(moved, -config.value_clip, config.value_clip);
    const float clipped_error = sample.old_value + bounded - sample.target;
    const float clipped_loss = 0.5f * clipped_error * clipped_error;
    const bool worse = (moved != bounded) & (clipped_loss > loss);
    loss = worse ? clipped_loss : loss;
    gradient = worse ? 0.0f : gradient;
  }
  metrics[PpoRowMetrics::kValueLoss] = loss;
  return gradient;
}

// Gradient with respect to logits [n]; weight multiplies every derivative.
HD void categorical_policy_gradient(const PpoLossConfig& config, const PpoSample& sample, const float* logits, int n,
                                    int action, float weight, float* d_logits, float* metrics) {
  const float normalizer = log_sum_exp(logits, n);
  const float entropy = categorical_entropy(logits, n, normalizer);
  const float d_log_prob = surrogate_gradient(config, sample, logits[action] - normalizer, metrics);
  metrics[PpoRowMetrics::kEntropy] = entropy;
  for (int j = 0; j < n; ++j) {
    const float log_p = logits[j] - normalizer;
    const float p = exp_of(log_p);
    const float chosen = j == action ? 1.0f : 0.0f;
    d_logits[j] = weight * (d_log_prob * (chosen - p) + config.entropy_weight * p * (log_p + entropy));
  }
}

// Gradient with respect to means [n] and to the state-independent log sigma [n] of a diagonal Gaussian.
HD void gaussian_policy_gradient(const PpoLossConfig& config, const PpoSample& sample, const float* means,
                                 const float* log_sigma, const float* action, int n, float weight, float* d_means,
                                 float* d_log_sigma, float* metrics) {
  float log_prob = 0.0f, entropy = 0.0f;
  for (int j = 0; j < n; ++j) {
    log_prob += gaussian_log_prob((action[j] - means[j]) * exp_of(-log_sigma[j]), log_sigma[j]);
    entropy += gaussian_entropy(log_sigma[j]);
  }
  const float d_log_prob = surrogate_gradient(config, sample, log_prob, metrics);
  metrics[PpoRowMetrics::kEntropy] = entropy;
  for (int j = 0; j < n; ++j) {
    const float inverse = exp_of(-log_sigma[j]);
    const float z = (action[j] - means[j]) * inverse;
    d_means[j] = weight * d_log_prob * z * inverse;
    d_log_sigma[j] = weight * (d_log_prob * (z * z - 1.0f) - config.entropy_weight);
  }
}

}  // namespace stampede
