// SPDX-License-Identifier: Apache-2.0
// TRPO on a batch of environments: rollouts of T rows into the ring, then one step of the policy on each.
#pragma once

#include <memory>

#include "train/shared_keys.h"
#include "train/trainer.h"

namespace stampede {

// Keys of the configuration beyond the common ones.
KeyList trpo_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_trpo_trainer(const TrainerSetup& setup);

// Rows of one step of the policy.
std::int64_t trpo_batch_rows(const Config& config);

}  // namespace stampede
