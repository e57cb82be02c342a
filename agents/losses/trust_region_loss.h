// SPDX-License-Identifier: Apache-2.0
// What a trust region is made of (Schulman et al. 2015, arXiv:1502.05477, section 6 and appendix C), row by row: the
// surrogate of equation 14, the divergence KL(old || new), and products with the Fisher matrix of a distribution's
// parameters, which is the divergence's second derivative.
#pragma once

#include "agents/distributions.h"
#include "agents/losses/policy_loss.h"

namespace stampede {

// -(importance ratio) * advantage: the negative of equation 14's surrogate, without any clipping.
struct RatioLoss {
  float entropy_weight = 0.0f;
};

HD float surrogate_gradient(const RatioLoss&, const PolicySample& sample, float log_prob, float* metrics) {
  const float ratio = exp_of(log_prob - sample.old_log_prob);
  metrics[PolicyRowMetrics::kPolicyLoss] = -sample.advantage * ratio;
  metrics[PolicyRowMetrics::kClipFraction] = outside_interval(ratio, kReportedClip);
  return -sample.advantage * ratio;
}

// sum_j p_j log(p_j / q_j) with p of the old logits [n] and q of the new ones.
HD float categorical_kl(const float* old_logits, const float* logits, int n) {
  const float old_normalizer = log_sum_exp(old_logits, n), normalizer = log_sum_exp(logits, n);
  float kl = 0.0f;
  for (int j = 0; j < n; ++j) {
    const float old_log_p = old_logits[j] - old_normalizer;
    kl += exp_of(old_log_p) * (old_log_p - (logits[j] - normalizer));
  }
  return kl;
}

// Of one dimension of a Gaussian.
HD float gaussian_kl(float old_mean, float old_log_sigma, float mean, float log_sigma) {
  const float z = (old_mean - mean) * exp_of(-log_sigma);
  const float spread = exp_of(2.0f * (old_log_sigma - log_sigma));
  return log_sigma - old_log_sigma + 0.5f * (spread + z * z - 1.0f);
}

// (diag(p) - p p^T) u, the product with the Fisher matrix of logits; product may be u itself.
HD void categorical_fisher_product(const float* p, const float* u, int n, float weight, float* product) {
  float mean = 0.0f;
  for (int j = 0; j < n; ++j) mean += p[j] * u[j];
  for (int j = 0; j < n; ++j) product[j] = weight * p[j] * (u[j] - mean);
}

// The Fisher matrix of a Gaussian is diagonal: 1 / sigma^2 for a mean and 2 for a log sigma.
HD float gaussian_mean_fisher(float log_sigma) { return exp_of(-2.0f * log_sigma); }
inline constexpr float kLogSigmaFisher = 2.0f;

}  // namespace stampede
