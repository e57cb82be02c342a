// SPDX-License-Identifier: Apache-2.0
// What a state is worth to the target of the transition before it: Q-learning, SARSA (Sutton & Barto 2018, equation
// 6.7) and Expected SARSA (equation 6.9).
#pragma once

#include "agents/distributions.h"

namespace stampede {

enum class BootstrapKind { kMax, kSarsa, kExpectedSarsa };

// q [actions]: values of the network that bootstraps. greedy: the action that the behaviour policy prefers, action: the
// one it executes next, epsilon: its share of random actions. Expected SARSA is the mean of SARSA's value over action.
HD float bootstrap_value(BootstrapKind kind, const float* q, int actions, int greedy, int action, float epsilon) {
  if (kind == BootstrapKind::kMax) return value_at(q, actions, argmax(q, actions));
  if (kind == BootstrapKind::kSarsa) return value_at(q, actions, action);
  float sum = 0.0f;
  for (int a = 0; a < actions; ++a) sum += q[a];
  return fused(1.0f - epsilon, value_at(q, actions, greedy), epsilon * (sum / static_cast<float>(actions)));
}

}  // namespace stampede
