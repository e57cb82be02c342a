// SPDX-License-Identifier: Apache-2.0
// DQN and its options on a batch of environments: rows into the ring, then gradient steps on samples of it.
#pragma once

#include <memory>

#include "train/trainer.h"

namespace stampede {

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_dqn_trainer(const TrainerSetup& setup);

// Rows of one gradient step.
std::int64_t dqn_batch_rows(const Config& config);

}  // namespace stampede
