// SPDX-License-Identifier: Apache-2.0
#include "train/async_keys.h"

#include <string>

#include "kernels/error.h"

namespace stampede {

KeyList async_keys() {
  using enum ConfigType;
  return {
      {.name = "workers",
       .type = kInteger,
       .default_text = "1",
       .min = 1,
       .max = 1024,
       .help = "threads that share num_envs environments equally; only 1 is reproducible"},
      {.name = "rollout_steps",
       .type = kInteger,
       .default_text = "20",
       .min = 1,
       .max = 1 << 20,
       .help = "rows per environment between a worker's updates (t_max)"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
  };
}

KeyList shared_rms_keys() {
  KeyList keys = only(optimizer_keys(), {"learning_rate", "learning_rate_final", "optimizer_epsilon",
                                         "epsilon_inside_root", "rms_decay", "max_grad_norm"});
  set_default(keys, "optimizer_epsilon", "0.01");
  set_default(keys, "epsilon_inside_root", "true");
  return keys;
}

int async_workers(const Config& config) {
  const std::int64_t environments = config.integer("num_envs"), asked = config.integer("workers");
  if (asked > environments || environments % asked != 0) {
    throw UsageError("workers: " + std::to_string(asked) + " workers cannot share " + std::to_string(environments) +
                     " environments (num_envs) equally");
  }
  return static_cast<int>(asked);
}

RmsPropConfig rms_prop_config(const Config& config) {
  return {.decay = static_cast<float>(config.real("rms_decay")),
          .epsilon = static_cast<float>(config.real("optimizer_epsilon")),
          .epsilon_inside_root = config.flag("epsilon_inside_root"),
          .max_norm = static_cast<float>(config.real("max_grad_norm"))};
}

std::int64_t async_batch_rows(const Config& config) {
  return config.integer("num_envs") / async_workers(config) * config.integer("rollout_steps");
}

}  // namespace stampede
