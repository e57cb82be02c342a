// SPDX-License-Identifier: Apache-2.0
// The losses of soft actor-critic with discrete actions, expectations taken exactly: Christodoulou 2019
// (arXiv:1910.07207), equations 10 to 12.
#pragma once

#include "agents/distributions.h"
#include "agents/losses/sac_loss.h"

namespace stampede {

// V(s) = sum_a pi(a | s) (q[a] - alpha log pi(a | s)), equation 10; q [n] the critics' smaller values.
template <class Values>
HD float expected_soft_value(const float* logits, const Values& q, int n, float alpha) {
  const float normalizer = log_sum_exp(logits, n);
  float value = 0.0f;
  for (int a = 0; a < n; ++a) {
    const float log_p = logits[a] - normalizer;
    value = fused(exp_of(log_p), fused(-alpha, log_p, q[a]), value);
  }
  return value;
}

// L = sum_a pi(a | s) (alpha log pi(a | s) - q[a]), equation 12: d_logits[j] = weight pi_j (alpha log pi_j - q_j - L).
// The log-probability in the metrics is its expectation.
template <class Values>
HD void discrete_policy_gradient(const float* logits, const Values& q, int n, float alpha, float weight,
                                 float* d_logits, float* metrics) {
  const float normalizer = log_sum_exp(logits, n);
  float loss = 0.0f, log_prob = 0.0f, value = 0.0f;
  for (int a = 0; a < n; ++a) {
    const float log_p = logits[a] - normalizer, p = exp_of(log_p);
    loss = fused(p, fused(alpha, log_p, -q[a]), loss);
    log_prob = fused(p, log_p, log_prob);
    value = fused(p, q[a], value);
  }
  for (int a = 0; a < n; ++a) {
    const float log_p = logits[a] - normalizer;
    d_logits[a] = weight * exp_of(log_p) * (fused(alpha, log_p, -q[a]) - loss);
  }
  metrics[SacRowMetrics::kPolicyLoss] = loss;
  metrics[SacRowMetrics::kLogProb] = log_prob;
  metrics[SacRowMetrics::kQ] = value;
  metrics[SacRowMetrics::kValueLoss] = 0.0f;
  metrics[SacRowMetrics::kCount] = 1.0f;
}

}  // namespace stampede
