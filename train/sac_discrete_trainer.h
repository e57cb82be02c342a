// SPDX-License-Identifier: Apache-2.0
// Soft actor-critic on a batch of environments with discrete actions.
#pragma once

#include <memory>

#include "train/shared_keys.h"
#include "train/trainer.h"

namespace stampede {

KeyList sac_discrete_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_sac_discrete_trainer(const TrainerSetup& setup);

}  // namespace stampede
