// SPDX-License-Identifier: Apache-2.0
// Asynchronous advantage actor-critic on worker threads.
#pragma once

#include <memory>

#include "train/shared_keys.h"
#include "train/trainer.h"

namespace stampede {

KeyList a3c_keys();

// Throws UsageError for values that do not fit together.
std::unique_ptr<Trainer> make_a3c_trainer(const TrainerSetup& setup);

}  // namespace stampede
