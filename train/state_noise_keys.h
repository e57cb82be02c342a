// SPDX-License-Identifier: Apache-2.0
// Configuration keys of state-dependent exploration.
#pragma once

#include "agents/state_noise.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList state_noise_keys();  // sde, sde_interval, sde_learn_features

// iteration_rows: rows per environment between updates, the interval where none is given.
StateNoiseConfig state_noise_config(const Config& config, std::int64_t iteration_rows);

}  // namespace stampede
