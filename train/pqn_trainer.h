// SPDX-License-Identifier: Apache-2.0
// Q-learning on rollouts of a batch of environments, without replay: PQN, deep SARSA and the synchronous form of
// asynchronous Q-learning.
#pragma once

#include <memory>

#include "train/trainer.h"

namespace stampede {

std::vector<ConfigKey> pqn_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_pqn_trainer(const TrainerSetup& setup);

// Rows of one gradient step.
std::int64_t pqn_batch_rows(const Config& config);

}  // namespace stampede
