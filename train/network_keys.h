// SPDX-License-Identifier: Apache-2.0
// Reads what algorithms share from a configuration: hidden layers, activation, learning-rate schedule.
#pragma once

#include <vector>

#include "agents/networks/network_spec.h"
#include "train/config.h"
#include "train/schedule.h"

namespace stampede {

std::vector<int> hidden_layers(const Config& config);
Activation activation(const Config& config);
Initialization initialization(const Config& config);
// Rows over which schedules run: schedule_steps, or total_steps when that is 0.
std::int64_t schedule_rows(const Config& config);
// From `key` to `key` * `key`_final_scale, linearly over schedule_rows.
Schedule annealed(const Config& config, const char* key, const char* final_scale_key);

}  // namespace stampede
