// SPDX-License-Identifier: Apache-2.0
// Temporal-difference control of many independent learners, one per environment: tables and linear features.
#pragma once

#include <memory>

#include "train/td_keys.h"
#include "train/trainer.h"

namespace stampede {

// Both throw UsageError for values that do not fit together or the observation.
std::unique_ptr<Trainer> make_tabular_trainer(const TrainerSetup& setup);
std::unique_ptr<Trainer> make_linear_trainer(const TrainerSetup& setup);

// Rows that one iteration learns from.
std::int64_t td_batch_rows(const Config& config);

}  // namespace stampede
