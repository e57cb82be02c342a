// SPDX-License-Identifier: Apache-2.0
#include "train/temperature_keys.h"

namespace stampede {

KeyList temperature_keys() {
  using enum ConfigType;
  return {
      {.name = "automatic_temperature",
       .type = kFlag,
       .default_text = "true",
       .help = "alpha is learned so that the entropy keeps to its target"},
      {.name = "alpha",
       .default_text = "1",
       .min = 0,
       .max = 1e6,
       .help = "weight of entropy against reward: at first, or always",
       .above_min = true},
      {.name = "target_entropy_scale",
       .default_text = "1",
       .min = -100,
       .max = 100,
       .help = "target entropy as a multiple of -dim(A), or of log(actions) for discrete ones"},
  };
}

TemperatureConfig temperature_config(const Config& config, double natural) {
  return {config.flag("automatic_temperature"), static_cast<float>(config.real("alpha")),
          static_cast<float>(config.real("target_entropy_scale") * natural)};
}

}  // namespace stampede
