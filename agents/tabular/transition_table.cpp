// SPDX-License-Identifier: Apache-2.0
#include "agents/tabular/transition_table.h"

namespace stampede {

double TransitionTable::start_value(const std::vector<double>& v) const {
  double sum = 0.0;
  for (std::size_t s = 0; s < v.size(); ++s) sum += start_probability[s] * v[s];
  return sum;
}

double backup(const TransitionTable& table, int row, const std::vector<double>& values, double discount) {
  double sum = 0.0;
  const auto begin = static_cast<std::size_t>(table.first[static_cast<std::size_t>(row)]);
  const auto end = static_cast<std::size_t>(table.first[static_cast<std::size_t>(row) + 1]);
  for (std::size_t k = begin; k < end; ++k) {
    const double future = table.terminated[k] ? 0.0 : values[static_cast<std::size_t>(table.next_state[k])];
    sum += table.probability[k] * (table.reward[k] + discount * future);
  }
  return sum;
}

}  // namespace stampede
