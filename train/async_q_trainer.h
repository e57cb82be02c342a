// SPDX-License-Identifier: Apache-2.0
// Asynchronous Q-learning, Sarsa and n-step Q-learning on worker threads.
#pragma once

#include <memory>

#include "train/shared_keys.h"
#include "train/trainer.h"

namespace stampede {

KeyList async_q_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_async_q_trainer(const TrainerSetup& setup);

}  // namespace stampede
