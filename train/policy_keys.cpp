// SPDX-License-Identifier: Apache-2.0
#include "train/policy_keys.h"

#include "train/state_noise_keys.h"

namespace stampede {
namespace {

using enum ConfigType;

ContinuousPolicy continuous_policy(const Config& config) {
  const std::string name = config.text("distribution");
  if (name == "state_gaussian") return ContinuousPolicy::kStateGaussian;
  if (name == "squashed_gaussian") return ContinuousPolicy::kSquashedGaussian;
  if (name == "beta") return ContinuousPolicy::kBeta;
  return name == "multi_categorical" ? ContinuousPolicy::kMultiCategorical : ContinuousPolicy::kGaussian;
}

Precision fused_precision(const Config& config) {
  return config.has("precision") && config.text("precision") == "bf16" ? Precision::kBf16 : Precision::kFp32;
}

}  // namespace

KeyList collector_keys() {
  KeyList keys = {
      {.name = "precision",
       .type = kChoice,
       .default_text = "fp32",
       .choices = "fp32|bf16",
       .help = "of the fused rollout's policy, and of fused updates of ppo and a2c; other learning is fp32"},
  };
  append(keys, fused_keys());
  return keys;
}

KeyList rollout_keys() {
  KeyList keys = {
      {.name = "rollout_steps",
       .type = kInteger,
       .default_text = "128",
       .min = 1,
       .max = 1 << 20,
       .help = "rows per environment between updates (T)"},
      {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1, .help = "discount"},
      {.name = "gae_lambda",
       .default_text = "0.95",
       .min = 0,
       .max = 1,
       .help = "lambda of generalised advantage estimation"},
  };
  append(keys, collector_keys());
  return keys;
}

KeyList actor_critic_keys() {
  KeyList keys = {
      {.name = "entropy_coef", .default_text = "0", .min = 0, .max = 100, .help = "weight of the entropy bonus"},
      {.name = "entropy_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule"},
      {.name = "value_coef", .default_text = "0.5", .min = 0, .max = 100, .help = "weight of the value loss"},
      {.name = "normalize_observations", .type = kFlag, .default_text = "false", .help = "running mean and deviation"},
      {.name = "normalize_rewards",
       .type = kFlag,
       .default_text = "false",
       .help = "by the deviation of discounted returns"},
      {.name = "shared_torso",
       .type = kFlag,
       .default_text = "false",
       .help = "actor and critic share their hidden layers"},
      {.name = "distribution",
       .type = kChoice,
       .default_text = "gaussian",
       .choices = "gaussian|state_gaussian|squashed_gaussian|beta|multi_categorical",
       .help = "of continuous actions; discrete ones are categorical"},
      {.name = "log_sigma",
       .default_text = "0",
       .min = -20,
       .max = 5,
       .help = "initial log standard deviation of continuous actions; with sde where features are -1 or 1"},
      {.name = "action_bins",
       .type = kInteger,
       .default_text = "11",
       .min = 2,
       .max = 1024,
       .help = "actions of each dimension, for multi_categorical"},
  };
  append(keys, optimizer_keys());
  append(keys, network_keys());
  set_default(keys, "optimizer_epsilon", "1e-5");
  set_default(keys, "max_grad_norm", "0.5");
  return keys;
}

ActorCriticConfig actor_critic_config(const Config& config) {
  return {.network = network_shape(config),
          .shared_torso = config.flag("shared_torso"),
          .continuous = continuous_policy(config),
          .initial_log_sigma = static_cast<float>(config.real("log_sigma")),
          .action_bins = static_cast<int>(config.integer("action_bins")),
          .state_noise =
              config.has("sde") ? state_noise_config(config, config.integer("rollout_steps")) : StateNoiseConfig{},
          .normalize_observations = config.flag("normalize_observations"),
          .normalize_rewards = config.flag("normalize_rewards"),
          .optimizer = config.has("optimizer") ? optimizer_config(config) : OptimizerConfig{},
          .fused = config.has("fused") ? fused_use(config) : FusedUse::kAuto,
          .precision = fused_precision(config)};
}

CollectorOptions collector_options(const Config& config) { return {fused_use(config), fused_precision(config)}; }

std::int64_t rollout_rows(const Config& config) { return config.integer("num_envs") * config.integer("rollout_steps"); }

}  // namespace stampede
