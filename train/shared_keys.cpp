// SPDX-License-Identifier: Apache-2.0
#include "train/shared_keys.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/error.h"

namespace stampede {
namespace {

using enum ConfigType;

Activation activation(const Config& config) {
  const std::string name = config.text("activation");
  if (name == "relu") return Activation::kRelu;
  return name == "tanh" ? Activation::kTanh : Activation::kLinear;
}

OptimizerKind optimizer_kind(const Config& config) {
  const std::string name = config.text("optimizer");
  if (name == "adamw") return OptimizerKind::kAdamW;
  if (name == "radam") return OptimizerKind::kRAdam;
  if (name == "rmsprop") return OptimizerKind::kRmsProp;
  return name == "sgd" ? OptimizerKind::kSgd : OptimizerKind::kAdam;
}

}  // namespace

void append(KeyList& keys, std::span<const ConfigKey> more) { keys.insert(keys.end(), more.begin(), more.end()); }

KeyList only(const KeyList& keys, std::initializer_list<std::string_view> names) {
  KeyList chosen;
  for (const std::string_view name : names) {
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& k) { return k.name == name; });
    if (key == keys.end()) throw std::logic_error("no key " + std::string(name) + " to choose");
    chosen.push_back(*key);
  }
  return chosen;
}

KeyList without(const KeyList& keys, const KeyList& removed) {
  KeyList kept;
  for (const ConfigKey& key : keys) {
    const auto same = [&](const ConfigKey& k) { return k.name == key.name; };
    if (std::none_of(removed.begin(), removed.end(), same)) kept.push_back(key);
  }
  return kept;
}

void set_default(KeyList& keys, std::string_view name, std::string_view text) {
  const auto key = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& k) { return k.name == name; });
  if (key == keys.end()) throw std::logic_error("no key " + std::string(name) + " to set a default of");
  key->default_text = text;
}

KeyList network_keys() {
  return {
      {.name = "hidden",
       .type = kIntegerList,
       .default_text = "64,64",
       .min = 1,
       .max = 65536,
       .help = "widths of the hidden layers"},
      {.name = "activation",
       .type = kChoice,
       .default_text = "tanh",
       .choices = "tanh|relu|linear",
       .help = "of the hidden layers"},
      {.name = "initialization",
       .type = kChoice,
       .default_text = "orthogonal",
       .choices = "orthogonal|kaiming_uniform",
       .help = "of the weights"},
      {.name = "layer_norm",
       .type = kFlag,
       .default_text = "false",
       .help = "normalise every hidden layer before its activation"},
  };
}

KeyList optimizer_keys() {
  return {
      {.name = "optimizer",
       .type = kChoice,
       .default_text = "adam",
       .choices = "adam|adamw|radam|rmsprop|sgd",
       .help = "of the networks"},
      {.name = "learning_rate", .default_text = "0.001", .min = 0, .max = 10, .help = "step size of the optimizer"},
      {.name = "learning_rate_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule"},
      {.name = "optimizer_epsilon",
       .default_text = "1e-8",
       .min = 0,
       .max = 1,
       .help = "added to the root of the second moment",
       .above_min = true},
      {.name = "epsilon_inside_root",
       .type = kFlag,
       .default_text = "false",
       .help = "rmsprop: added below the root, as Mnih et al. 2016"},
      {.name = "rms_decay", .default_text = "0.99", .min = 0, .max = 1, .help = "rmsprop: of the second moment"},
      {.name = "weight_decay",
       .default_text = "0",
       .min = 0,
       .max = 1,
       .help = "decoupled for adamw, added to the gradient for the others"},
      {.name = "max_grad_norm", .default_text = "0", .min = 0, .max = 1e9, .help = "global-norm clip; 0 = off"},
      {.name = "max_grad_value", .default_text = "0", .min = 0, .max = 1e9, .help = "elementwise clip; 0 = off"},
  };
}

KeyList fused_keys() {
  return {
      {.name = "fused",
       .type = kChoice,
       .default_text = "auto",
       .choices = "auto|true|false",
       .help = "device=cuda: rollouts and updates in few kernels where environment, network and method fit"},
  };
}

KeyList replay_keys() {
  return {
      {.name = "buffer_size",
       .type = kInteger,
       .default_text = "100000",
       .min = 2,
       .max = 2147483647.0,
       .help = "transitions kept, over all environments"},
      {.name = "batch_size",
       .type = kInteger,
       .default_text = "64",
       .min = 1,
       .max = 1 << 20,
       .help = "transitions per gradient step"},
      {.name = "learning_starts",
       .type = kInteger,
       .default_text = "1000",
       .min = 0,
       .max = 1e12,
       .help = "rows of random actions before the first update"},
      {.name = "train_interval",
       .type = kInteger,
       .default_text = "1",
       .min = 1,
       .max = 1 << 20,
       .help = "steps of every environment between updates"},
      {.name = "gradient_steps",
       .type = kInteger,
       .default_text = "1",
       .min = 1,
       .max = 1 << 20,
       .help = "updates each time"},
  };
}

KeyList epsilon_keys() {
  return {
      {.name = "epsilon_start", .default_text = "1", .min = 0, .max = 1, .help = "share of random actions at first"},
      {.name = "epsilon_end", .default_text = "0.05", .min = 0, .max = 1, .help = "and at the end"},
      {.name = "epsilon_fraction",
       .default_text = "0.2",
       .min = 0,
       .max = 1,
       .help = "of the schedule until the end is reached"},
      {.name = "epsilon_schedule",
       .type = kChoice,
       .default_text = "linear",
       .choices = "linear|exponential|constant",
       .help = "from start to end"},
  };
}

NetworkShape network_shape(const Config& config) {
  NetworkShape shape;
  shape.hidden.clear();
  for (const std::int64_t width : config.integers("hidden")) shape.hidden.push_back(static_cast<int>(width));
  shape.activation = activation(config);
  shape.initialization =
      config.text("initialization") == "orthogonal" ? Initialization::kOrthogonal : Initialization::kKaimingUniform;
  shape.layer_norm = config.flag("layer_norm");
  return shape;
}

FusedUse fused_use(const Config& config) {
  const std::string use = config.text("fused");
  if (use == "true") return FusedUse::kAlways;
  return use == "false" ? FusedUse::kNever : FusedUse::kAuto;
}

OptimizerConfig optimizer_config(const Config& config) {
  OptimizerConfig optimizer;
  optimizer.kind = optimizer_kind(config);
  if (optimizer.kind == OptimizerKind::kRmsProp) optimizer.beta2 = static_cast<float>(config.real("rms_decay"));
  optimizer.epsilon = static_cast<float>(config.real("optimizer_epsilon"));
  optimizer.epsilon_inside_root = config.flag("epsilon_inside_root");
  optimizer.weight_decay = static_cast<float>(config.real("weight_decay"));
  optimizer.max_norm = static_cast<float>(config.real("max_grad_norm"));
  optimizer.max_value = static_cast<float>(config.real("max_grad_value"));
  return optimizer;
}

int ring_rows(const Config& config) {
  const std::int64_t capacity = config.integer("buffer_size"), environments = config.integer("num_envs");
  if (capacity / environments >= 2) return static_cast<int>(capacity / environments);
  throw UsageError("buffer_size: " + std::to_string(capacity) + " transitions for " + std::to_string(environments) +
                   " environments keep fewer than 2 rows each");
}

Schedule epsilon_schedule(const Config& config) {
  const std::string name = config.text("epsilon_schedule");
  const ScheduleKind kind = name == "linear"        ? ScheduleKind::kLinear
                            : name == "exponential" ? ScheduleKind::kExponential
                                                    : ScheduleKind::kConstant;
  const double start = config.real("epsilon_start"), end = config.real("epsilon_end");
  if (kind == ScheduleKind::kExponential && (start <= 0.0 || end <= 0.0)) {
    throw UsageError("epsilon_schedule: exponential needs epsilon_start and epsilon_end above 0");
  }
  const double rows = config.real("epsilon_fraction") * static_cast<double>(schedule_rows(config));
  return {kind, start, end, static_cast<std::int64_t>(rows)};
}

std::int64_t schedule_rows(const Config& config) {
  const std::int64_t rows = config.integer("schedule_steps");
  return rows > 0 ? rows : config.integer("total_steps");
}

Schedule annealed(const Config& config, const char* key, const char* final_scale_key) {
  const double start = config.real(key);
  return {ScheduleKind::kLinear, start, start * config.real(final_scale_key), schedule_rows(config)};
}

}  // namespace stampede
