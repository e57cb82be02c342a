// SPDX-License-Identifier: Apache-2.0
// Configuration keys that several algorithms share, and what they are read into.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "agents/fused/fused_use.h"
#include "agents/networks/network_spec.h"
#include "kernels/optimizer.h"
#include "train/config.h"
#include "train/schedule.h"

namespace stampede {

using KeyList = std::vector<ConfigKey>;

void append(KeyList& keys, std::span<const ConfigKey> more);
// Those of `keys` that have one of the names. std::logic_error when one has none.
KeyList only(const KeyList& keys, std::initializer_list<std::string_view> names);
// Those of `keys` whose names none of `removed` has.
KeyList without(const KeyList& keys, const KeyList& removed);
// std::logic_error when no key has that name.
void set_default(KeyList& keys, std::string_view name, std::string_view text);

KeyList network_keys();    // hidden, activation, initialization, layer_norm
KeyList optimizer_keys();  // optimizer, learning_rate and how it falls, epsilon, decays, clipping
KeyList replay_keys();     // buffer_size, batch_size, learning_starts, train_interval, gradient_steps
KeyList epsilon_keys();    // epsilon_start, epsilon_end, epsilon_fraction, epsilon_schedule
KeyList fused_keys();      // fused

NetworkShape network_shape(const Config& config);
OptimizerConfig optimizer_config(const Config& config);
// Rows of a ring of buffer_size transitions. Throws UsageError below two.
int ring_rows(const Config& config);
// Throws UsageError for an exponential schedule from or to 0.
Schedule epsilon_schedule(const Config& config);
// Rows over which schedules run: schedule_steps, or total_steps when that is 0.
std::int64_t schedule_rows(const Config& config);
FusedUse fused_use(const Config& config);
// From `key` to `key` * `final_scale_key`, linearly over schedule_rows.
Schedule annealed(const Config& config, const char* key, const char* final_scale_key);

}  // namespace stampede
