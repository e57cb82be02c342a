// SPDX-License-Identifier: Apache-2.0
// Behaviour and target policies over the action values of one state.
#pragma once

#include "agents/linear/td_config.h"
#include "agents/losses/soft_value.h"
#include "kernels/philox.h"

namespace stampede {

struct TdRates {
  float epsilon, learning_rate, temperature;
};

HD float largest(const float* q, int actions) {
  float best = q[0];
  for (int a = 1; a < actions; ++a) best = q[a] > best ? q[a] : best;
  return best;
}

// The lowest action of the largest value.
HD int first_greedy(const float* q, int actions) {
  int best = 0;
  for (int a = 1; a < actions; ++a) best = q[a] > q[best] ? a : best;
  return best;
}

// Uniform among the actions of the largest value.
HD int random_greedy(const float* q, int actions, std::uint32_t word) {
  const float best = largest(q, actions);
  int first = 0;
  std::uint32_t ties = 0;
  for (int a = actions - 1; a >= 0; --a) {
    const bool tie = q[a] >= best;
    ties += tie;
    first = tie ? a : first;
  }
  if (ties <= 1) return first;  // seldom otherwise, once something was learnt
  auto skip = static_cast<std::int32_t>(uniform_below(word, ties));
  int chosen = first;
  for (int a = first; a < actions && skip >= 0; ++a) {
    chosen = q[a] >= best ? a : chosen;
    skip -= q[a] >= best;
  }
  return chosen;
}

HD int epsilon_greedy(const float* q, int actions, float epsilon, const PhiloxBlock& draw) {
  const int greedy = random_greedy(q, actions, draw.word[2]);
  const auto random = static_cast<int>(uniform_below(draw.word[1], static_cast<std::uint32_t>(actions)));
  return uniform_float(draw.word[0]) < epsilon ? random : greedy;
}

// pi(a) proportional to exp(q(a) / temperature).
HD int boltzmann(const float* q, int actions, float temperature, const PhiloxBlock& draw) {
  const float best = largest(q, actions), inverse = 1.0f / temperature;
  float sum = 0.0f;
  for (int a = 0; a < actions; ++a) sum += exp_of((q[a] - best) * inverse);
  float left = uniform_float(draw.word[0]) * sum;
  int chosen = 0;
  for (int a = 0; a < actions - 1; ++a) {
    left -= exp_of((q[a] - best) * inverse);
    chosen += left >= 0.0f;
  }
  return chosen;
}

HD int behave(const TdConfig& config, const float* q, int actions, const TdRates& rates, const PhiloxBlock& draw) {
  if (config.target == TdTarget::kSoft) return boltzmann(q, actions, rates.temperature, draw);
  return epsilon_greedy(q, actions, rates.epsilon, draw);
}

// Expectation under the epsilon-greedy policy.
HD float expected_value(const float* q, int actions, float epsilon) {
  float sum = 0.0f;
  for (int a = 0; a < actions; ++a) sum += q[a];
  return fused(epsilon / static_cast<float>(actions), sum, (1.0f - epsilon) * largest(q, actions));
}

// Value of a state for a target; `action` is the one taken next.
HD float target_value(const TdConfig& config, const float* q, int actions, int action, const TdRates& rates) {
  switch (config.target) {
    case TdTarget::kMaximum:
      return largest(q, actions);
    case TdTarget::kSampled:
      return q[action];
    case TdTarget::kSoft:
      return soft_value(q, actions, rates.temperature);
    default:
      return expected_value(q, actions, rates.epsilon);
  }
}

}  // namespace stampede
