// SPDX-License-Identifier: Apache-2.0
// The keys of an entropy temperature, shared by the soft actor-critics.
#pragma once

#include "agents/temperature.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList temperature_keys();  // automatic_temperature, alpha, target_entropy_scale
// natural: the entropy that target_entropy_scale multiplies.
TemperatureConfig temperature_config(const Config& config, double natural);

}  // namespace stampede
