// SPDX-License-Identifier: Apache-2.0
#include "train/transition_model.h"

#include <string>

#include "kernels/error.h"

namespace stampede {

void check_tabular(const EnvRegistry& registry, const EnvEntry& entry) {
  if (entry.transitions) return;
  std::string tabular;
  for (const EnvEntry& other : registry.entries()) {
    if (other.transitions) tabular += (tabular.empty() ? "" : ", ") + std::string(other.spec.id);
  }
  throw UsageError(std::string(entry.spec.id) + " has no transition table; these have: " + tabular);
}

TransitionTable transition_table(const EnvEntry& entry, const EnvParameters& parameters) {
  const EnvSpec spec = entry.resolve(parameters);
  TransitionTable table;
  table.states = spec.observation.count;
  table.actions = spec.action.count;
  table.first.push_back(0);
  for (int s = 0; s < table.states; ++s) {
    for (int a = 0; a < table.actions; ++a) {
      for (const Transition& outcome : entry.transitions(parameters, s, a)) {
        table.probability.push_back(outcome.probability);
        table.next_state.push_back(outcome.next_state);
        table.reward.push_back(outcome.reward);
        table.terminated.push_back(outcome.terminated);
      }
      table.first.push_back(static_cast<std::int32_t>(table.probability.size()));
    }
  }
  table.start_probability.assign(static_cast<std::size_t>(table.states), 0.0);
  for (const StartState& start : entry.start_states(parameters)) {
    table.start_probability[static_cast<std::size_t>(start.state)] += start.probability;
  }
  return table;
}

}  // namespace stampede
