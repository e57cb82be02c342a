// SPDX-License-Identifier: Apache-2.0
// The model of a finite Markov decision process: all outcomes of all actions, as compressed rows.
#pragma once

#include <cstdint>
#include <vector>

namespace stampede {

// Outcomes of (state, action) are those in [first[sa], first[sa + 1]) with sa = state * actions + action. Host memory.
struct TransitionTable {
  int states = 0, actions = 0;
  std::vector<std::int32_t> first;        // [S * A + 1]
  std::vector<double> probability;        // [outcomes]
  std::vector<std::int32_t> next_state;   // [outcomes]
  std::vector<double> reward;             // [outcomes]
  std::vector<std::uint8_t> terminated;   // [outcomes], 1 where the episode ends
  std::vector<double> start_probability;  // [S]

  int row(int state, int action) const { return state * actions + action; }
  // Expected value of v[state] where episodes start.
  double start_value(const std::vector<double>& v) const;
};

// Expected reward plus discount times the expected value of the next state; 0 behind a termination.
double backup(const TransitionTable& table, int row, const std::vector<double>& values, double discount);

}  // namespace stampede
