// SPDX-License-Identifier: Apache-2.0
// What a policy is worth on a known model, exactly: Sutton & Barto 2018, section 4.1, over a finite horizon.
#pragma once

#include "agents/tabular/transition_table.h"

namespace stampede {

// Expected undiscounted return and length of an episode of at most `horizon` steps.
struct PolicyValue {
  double return_mean = 0.0;
  double length_mean = 0.0;
};

// policy [S, A]: probabilities of actions. Backward recursion over `horizon` steps, ended early once nothing changes.
PolicyValue evaluate_policy(const TransitionTable& table, const std::vector<double>& policy, int horizon);

// Takes the action of the largest value, the lowest in a tie, or a uniform one with probability epsilon; 0 is greedy.
// action_values [S, A].
std::vector<double> epsilon_greedy_policy(const TransitionTable& table, const double* action_values, double epsilon);
// pi(a|s) proportional to exp(Q(s, a) / alpha), for alpha > 0.
std::vector<double> boltzmann_policy(const TransitionTable& table, const double* action_values, double alpha);

}  // namespace stampede
