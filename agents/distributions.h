// SPDX-License-Identifier: Apache-2.0
// Action distributions as HD functions of one network output row: categorical over logits and diagonal Gaussian.
#pragma once

#include "kernels/math.h"
#include "kernels/philox.h"

namespace stampede {

// Most actions of a categorical policy.
inline constexpr int kMaxActions = 64;
// So few are handled without branches and indices, so that loops over rows become vectors.
inline constexpr int kFew = 4;

inline constexpr float kHalfLogTwoPi = 0.91893853320467274178f;

// log(sum_j exp(x_j)), with the maximum taken out first.
HD float log_sum_exp(const float* x, int n) {
  float maximum = x[0];
#pragma GCC unroll 4
  for (int j = 0; j < n; ++j) maximum = x[j] > maximum ? x[j] : maximum;
  float sum = 0.0f;
#ifdef __CUDA_ARCH__
#pragma unroll  // where n is a constant, x stays in registers
#else
#pragma GCC unroll 4
#endif
  for (int j = 0; j < n; ++j) sum += exp_of(x[j] - maximum);
  return maximum + log_of(sum);
}

// Entropy of softmax(logits), given their log_sum_exp.
HD float categorical_entropy(const float* logits, int n, float normalizer) {
  float entropy = 0.0f;
#pragma GCC unroll 4
  for (int j = 0; j < n; ++j) {
    const float log_p = logits[j] - normalizer;
    entropy -= exp_of(log_p) * log_p;
  }
  return entropy;
}

// Inverse-CDF sample; u uniform in [0, 1).
HD int sample_categorical(const float* logits, int n, float normalizer, float u) {
  float cumulative = 0.0f;
  int action = 0;
#ifdef __CUDA_ARCH__
#pragma unroll
#else
#pragma GCC unroll 4
#endif
  for (int j = 0; j < n - 1; ++j) {
    cumulative += exp_of(logits[j] - normalizer);
#ifndef __CUDA_ARCH__
    if (n > kFew && u < cumulative) break;  // saves exponentials; lanes would diverge, those of a warp and of a vector
#endif
    action += u < cumulative ? 0 : 1;
  }
  return action;
}

HD int argmax(const float* x, int n) {
  int best = 0;
  float highest = x[0];
#pragma GCC unroll 4
  for (int j = 0; j < n; ++j) {
    best = x[j] > highest ? j : best;
    highest = x[j] > highest ? x[j] : highest;
  }
  return best;
}

// x[i]. Among few, and on a device always, chosen by comparisons: an index that is not a constant would take x out of
// registers, and keep a loop over rows from being vectorised.
HD float value_at(const float* x, int n, int i) {
#ifndef __CUDA_ARCH__
  if (n > kFew) return x[i];
#endif
  float chosen = x[0];
#pragma GCC unroll 4
  for (int j = 0; j < n; ++j) chosen = select_uniform(j == i, x[j], chosen);
  return chosen;
}

// Two independent standard normals by Box and Muller from two words.
struct NormalPair {
  float first, second;
};
HD NormalPair standard_normals(std::uint32_t first, std::uint32_t second) {
  const float radius = square_root(-2.0f * log_of(uniform_float_open(first)));
  const SinCos angle = sin_cos(kTwoPi * uniform_float(second));
  return {radius * angle.cos, radius * angle.sin};
}

// The first of them.
HD float standard_normal(std::uint32_t first, std::uint32_t second) { return standard_normals(first, second).first; }

// log density of one dimension: z = (a - mean) / sigma.
HD float gaussian_log_prob(float z, float log_sigma) { return -0.5f * z * z - log_sigma - kHalfLogTwoPi; }

HD float gaussian_entropy(float log_sigma) { return 0.5f + kHalfLogTwoPi + log_sigma; }

}  // namespace stampede
