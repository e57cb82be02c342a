// SPDX-License-Identifier: Apache-2.0
#include "train/state_noise_keys.h"

namespace stampede {

KeyList state_noise_keys() {
  using enum ConfigType;
  return {
      {.name = "sde",
       .type = kFlag,
       .default_text = "false",
       .help = "noise that is a function of the state and stays the same for sde_interval rows (gSDE)"},
      {.name = "sde_interval",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1 << 20,
       .help = "rows after which each environment draws a new such function; 0 = those between two updates"},
      {.name = "sde_learn_features",
       .type = kFlag,
       .default_text = "false",
       .help = "the gradient of the noise's variance also moves the layers below it"},
  };
}

StateNoiseConfig state_noise_config(const Config& config, std::int64_t iteration_rows) {
  const std::int64_t interval = config.integer("sde_interval");
  return {config.flag("sde"), interval > 0 ? interval : iteration_rows, config.flag("sde_learn_features")};
}

}  // namespace stampede
