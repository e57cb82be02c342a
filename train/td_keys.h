// SPDX-License-Identifier: Apache-2.0
// Configuration keys of tabular and linear temporal-difference control, and what they are read into.
#pragma once

#include "agents/linear/td_config.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList tabular_keys();
KeyList linear_keys();

TdConfig td_config(const Config& config);

// Rates follow the rows collected, or each learner's own episodes when these are limited.
struct TdSchedules {
  Schedule epsilon, learning_rate, temperature;
};
// Throws UsageError for an exponential schedule from or to 0.
TdSchedules td_schedules(const Config& config);

}  // namespace stampede
