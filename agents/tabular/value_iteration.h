// SPDX-License-Identifier: Apache-2.0
// Optimal values of a known model by dynamic programming: Sutton & Barto 2018, section 4.4; Ziebart 2010 for soft
// values.
#pragma once

#include "agents/tabular/transition_table.h"

namespace stampede {

struct ValueIterationConfig {
  double gamma = 0.99;
  // Of the entropy: V(s) = alpha log sum_a exp(Q(s, a) / alpha). 0 = the maximum.
  double alpha = 0.0;
  double tolerance = 1e-12;  // sweeps end when no value changes by more, relative to the largest magnitude
  int max_sweeps = 1000000;
};

struct Solution {
  std::vector<double> values;         // [S]
  std::vector<double> action_values;  // [S * A]
  int sweeps = 0;
  bool converged = false;  // not with gamma = 1 where some state gains for ever
};

// Throws UsageError for gamma outside [0, 1] or a negative alpha.
Solution value_iteration(const TransitionTable& table, const ValueIterationConfig& config);

// The largest undiscounted return that `horizon` steps allow, for a policy that knows the time: [S].
std::vector<double> time_aware_values(const TransitionTable& table, int horizon);

}  // namespace stampede
