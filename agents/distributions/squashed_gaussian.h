// SPDX-License-Identifier: Apache-2.0
// A Gaussian squashed by tanh, a = tanh(u) with u = mean + sigma * noise: Haarnoja et al. 2018 (arXiv:1812.05905),
// appendix C, with the logarithm of the squashing's slope in a form that is exact for every u.
#pragma once

#include "agents/distributions.h"

namespace stampede {

// Bounds of log sigma; outside them its derivative is zero.
inline constexpr float kLogSigmaLow = -20.0f, kLogSigmaHigh = 2.0f;

inline constexpr float kLogTwo = 0.69314718055994530942f;

// log(1 + exp(x)) without overflow.
HD float softplus(float x) {
  const float magnitude = x < 0.0f ? -x : x;
  return (x > 0.0f ? x : 0.0f) + log_of(1.0f + exp_of(-magnitude));
}

// log(1 - tanh(u)^2) = 2 (log 2 - u - log(1 + exp(-2 u))): tanh(u)^2 rounds to 1 long before this loses a digit.
HD float log_tanh_slope(float u) { return 2.0f * (kLogTwo - u - softplus(-2.0f * u)); }

struct SquashedSample {
  float action;    // in (-1, 1)
  float log_prob;  // density of the action, per unit of action; of one dimension
  float sigma;
};

// One dimension, noise standard normal. For actions a * scale + center subtract log(scale) from log_prob.
HD SquashedSample sample_squashed(float mean, float log_sigma, float noise) {
  const float bounded = clamp(log_sigma, kLogSigmaLow, kLogSigmaHigh);
  const float sigma = exp_of(bounded);
  const float u = fused(sigma, noise, mean);
  return {tanh_of(u), gaussian_log_prob(noise, bounded) - log_tanh_slope(u), sigma};
}

// log_prob of a sample that is known before tanh, u.
HD float squashed_log_prob(float mean, float log_sigma, float u) {
  const float bounded = clamp(log_sigma, kLogSigmaLow, kLogSigmaHigh);
  return gaussian_log_prob((u - mean) * exp_of(-bounded), bounded) - log_tanh_slope(u);
}

// The derivatives of log_prob * d_log_prob + action * d_action with respect to mean and log sigma at fixed noise, the
// reparameterisation trick: d u = d mean + sigma noise d log sigma, d log_prob = 2 tanh(u) d u - d log sigma.
struct SquashedGradient {
  float mean, log_sigma;
};
HD SquashedGradient squashed_gradient(const SquashedSample& sample, float log_sigma, float noise, float d_log_prob,
                                      float d_action) {
  const float slope = fused(-sample.action, sample.action, 1.0f);
  const float d_u = fused(d_action, slope, d_log_prob * 2.0f * sample.action);
  const bool inside = log_sigma >= kLogSigmaLow && log_sigma <= kLogSigmaHigh;
  return {d_u, inside ? fused(d_u, sample.sigma * noise, -d_log_prob) : 0.0f};
}

}  // namespace stampede
