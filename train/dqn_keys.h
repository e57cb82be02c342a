// SPDX-License-Identifier: Apache-2.0
// The configuration of DQN and its options.
#pragma once

#include "agents/dqn.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList dqn_keys();

DqnConfig dqn_config(const Config& config);
// beta of prioritised replay's importance weights.
Schedule importance_schedule(const Config& config);

// What makes the actions of training differ from greedy ones, beside noisy layers and dropout.
struct ExplorationSchedule {
  enum class Rule { kEpsilon, kBoltzmann, kNone } rule = Rule::kEpsilon;
  Schedule epsilon, temperature;

  // At one row, counted over all environments; final_epsilons: [N], null where all share one.
  Exploration at(std::int64_t row, const float* final_epsilons) const;
  // What a stochastic evaluation explores with, the same in all environments.
  Exploration at_end() const;
};
// Throws UsageError when nothing is left that explores.
ExplorationSchedule exploration_schedule(const Config& config);

}  // namespace stampede
