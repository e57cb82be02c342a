// SPDX-License-Identifier: Apache-2.0
// Actions chosen by their values: epsilon-greedy with one share for all or one per environment, and Boltzmann.
#pragma once

#include "agents/epsilon_greedy.h"
#include "agents/losses/soft_value.h"
#include "kernels/record.h"
#include "kernels/stream.h"

namespace stampede {

struct Exploration {
  Epsilon epsilon = {};      // share of random actions; 0 is greedy
  float temperature = 0.0f;  // above 0 the other actions are drawn from exp(Q / temperature)
};

// The action of one environment, whose share of random ones is epsilon.
HD int explore(const float* q, int actions, int greedy, float epsilon, float temperature, const RandomKey& key,
               int environment) {
  int action = greedy;
  if (temperature > 0.0f) {
    // epsilon_greedy() reads the first two words of the same block.
    const float u = uniform_float(key.block(static_cast<std::uint32_t>(environment), 0).word[2]);
    action = sample_boltzmann(q, actions, temperature, u);
  }
  return epsilon_greedy(action, actions, epsilon, key, environment);
}
HD int explore(const float* q, int actions, const Exploration& exploration, const RandomKey& key, int environment) {
  return explore(q, actions, argmax(q, actions), exploration.epsilon.of(environment), exploration.temperature, key,
                 environment);
}

// Every action has at least epsilon / A (Mnih et al. 2015, algorithm 1).
struct EpsilonGreedyRows {
  const float* outputs;  // [rows, output_stride], Q-values in the first `actions` columns
  int output_stride, actions;
  std::uint32_t* records;  // [N, record words]
  RecordLayout record;
  int begin, rows;
};
void choose_actions(const Stream& stream, const EpsilonGreedyRows& rows, const RandomKey& key,
                    const Exploration& exploration);
inline void choose_epsilon_greedy(const Stream& stream, const EpsilonGreedyRows& rows, const RandomKey& key,
                                  float epsilon) {
  choose_actions(stream, rows, key, {.epsilon = {epsilon}});
}

}  // namespace stampede
