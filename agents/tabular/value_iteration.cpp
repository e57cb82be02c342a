// SPDX-License-Identifier: Apache-2.0
#include "agents/tabular/value_iteration.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace stampede {
namespace {

// alpha log sum exp(q / alpha), the largest taken out so that nothing overflows; the maximum for alpha = 0.
double state_value(const double* q, int actions, double alpha) {
  const double best = *std::max_element(q, q + actions);
  if (alpha == 0.0) return best;
  double sum = 0.0;
  for (int a = 0; a < actions; ++a) sum += std::exp((q[a] - best) / alpha);
  return best + alpha * std::log(sum);
}

void check(const ValueIterationConfig& config) {
  if (!(config.gamma >= 0.0 && config.gamma <= 1.0)) throw UsageError("gamma: the discount must be within [0, 1]");
  if (!(config.alpha >= 0.0 && std::isfinite(config.alpha))) throw UsageError("alpha: must not be negative");
}

}  // namespace

Solution value_iteration(const TransitionTable& table, const ValueIterationConfig& config) {
  check(config);
  Solution solution;
  solution.values.assign(static_cast<std::size_t>(table.states), 0.0);
  solution.action_values.assign(static_cast<std::size_t>(table.states * table.actions), 0.0);
  while (!solution.converged && solution.sweeps < config.max_sweeps) {
    double change = 0.0, magnitude = 1.0;
    for (int s = 0; s < table.states; ++s) {
      double* const q = solution.action_values.data() + table.row(s, 0);
      for (int a = 0; a < table.actions; ++a) q[a] = backup(table, table.row(s, a), solution.values, config.gamma);
      const double value = state_value(q, table.actions, config.alpha);
      double& stored = solution.values[static_cast<std::size_t>(s)];
      change = std::max(change, std::abs(value - stored));
      magnitude = std::max(magnitude, std::abs(value));
      stored = value;
    }
    ++solution.sweeps;
    solution.converged = change <= config.tolerance * magnitude;
  }
  return solution;
}

std::vector<double> time_aware_values(const TransitionTable& table, int horizon) {
  std::vector<double> values(static_cast<std::size_t>(table.states), 0.0), next(values);
  std::vector<double> q(static_cast<std::size_t>(table.actions));
  for (int k = 0; k < horizon; ++k) {
    for (int s = 0; s < table.states; ++s) {
      for (int a = 0; a < table.actions; ++a) {
        q[static_cast<std::size_t>(a)] = backup(table, table.row(s, a), values, 1.0);
      }
      next[static_cast<std::size_t>(s)] = state_value(q.data(), table.actions, 0.0);
    }
    if (next == values) break;
    values.swap(next);
  }
  return values;
}

}  // namespace stampede
