// SPDX-License-Identifier: Apache-2.0
// Deterministic policy gradients, TD3 and DDPG, on a batch of environments.
#pragma once

#include <memory>

#include "train/shared_keys.h"
#include "train/trainer.h"

namespace stampede {

KeyList td3_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_td3_trainer(const TrainerSetup& setup);

}  // namespace stampede
