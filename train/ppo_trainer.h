// SPDX-License-Identifier: Apache-2.0
// PPO on a batch of environments: rollouts of T rows into the ring, then epochs over them.
#pragma once

#include <memory>

#include "train/trainer.h"

namespace stampede {

// Keys of the configuration beyond the common ones.
std::vector<ConfigKey> ppo_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_ppo_trainer(const TrainerSetup& setup);

// Rows of one gradient step.
std::int64_t ppo_batch_rows(const Config& config);

}  // namespace stampede
