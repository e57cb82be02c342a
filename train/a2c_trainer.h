// SPDX-License-Identifier: Apache-2.0
// Advantage actor-critic: rollouts of T rows into the ring, one gradient step on each.
#pragma once

#include <memory>

#include "train/trainer.h"

namespace stampede {

// Keys of the configuration beyond the common ones.
std::vector<ConfigKey> a2c_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_a2c_trainer(const TrainerSetup& setup);

}  // namespace stampede
