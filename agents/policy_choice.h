// SPDX-License-Identifier: Apache-2.0
// Drawing one action from a policy head's outputs, with its log-probability.
#pragma once

#include <cstdint>

#include "agents/distributions.h"

namespace stampede {

struct CategoricalChoice {
  int action;
  float log_prob;
};

// word: the row's random word; greedy: the most likely action instead.
HD CategoricalChoice choose_categorical(const float* logits, int n, std::uint32_t word, bool greedy) {
  const float normalizer = log_sum_exp(logits, n);
  const int sampled = sample_categorical(logits, n, normalizer, uniform_float(word));
  const int mask = -static_cast<int>(greedy);  // the same for all rows: gcc's vectoriser knows no such condition
  const int action = (argmax(logits, n) & mask) | (sampled & ~mask);
  return {action, value_at(logits, n, action) - normalizer};
}

struct GaussianChoice {
  float action;  // before it is clipped to its bounds
  float log_prob;
};

// One dimension, with noise that was drawn before.
HD GaussianChoice move_gaussian(float mean, float log_sigma, float noise) {
  const float action = mean + noise;
  return {action, gaussian_log_prob((action - mean) * exp_of(-log_sigma), log_sigma)};
}

// One dimension, with a standard normal that was drawn before; greedy: the mean instead.
HD GaussianChoice choose_gaussian(float mean, float log_sigma, float normal, bool greedy) {
  const float action = select_uniform(greedy, mean, fused(exp_of(log_sigma), normal, mean));
  return {action, gaussian_log_prob((action - mean) * exp_of(-log_sigma), log_sigma)};
}

// One dimension. Two words are drawn from rng, greedy or not.
HD GaussianChoice choose_gaussian(float mean, float log_sigma, Rng& rng, bool greedy) {
  const std::uint32_t first = rng.next_word();
  return choose_gaussian(mean, log_sigma, standard_normal(first, rng.next_word()), greedy);
}

}  // namespace stampede
