// SPDX-License-Identifier: Apache-2.0
// REINFORCE: long rollouts into the ring, one gradient step on the episodes that ended in each.
#pragma once

#include <memory>

#include "train/trainer.h"

namespace stampede {

// Keys of the configuration beyond the common ones.
std::vector<ConfigKey> reinforce_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_reinforce_trainer(const TrainerSetup& setup);

}  // namespace stampede
