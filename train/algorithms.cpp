// SPDX-License-Identifier: Apache-2.0
#include "train/algorithms.h"

#include <algorithm>
#include <string>
#include <thread>

#include "kernels/error.h"
#include "kernels/nearest_match.h"
#include "train/presets.h"

namespace stampede {
namespace {

std::span<const ConfigKey> common_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "seed", .type = kInteger, .default_text = "1", .min = 0, .max = 9.2e18, .help = "of everything random"},
      {.name = "total_steps",
       .type = kInteger,
       .default_text = "100000",
       .min = 1,
       .max = 1e15,
       .help = "rows to collect, over all environments"},
      {.name = "schedule_steps",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows over which schedules run; 0 = total_steps"},
      {.name = "num_envs",
       .type = kInteger,
       .default_text = "8",
       .min = 1,
       .max = 1 << 24,
       .help = "environments stepped together (N)"},
      {.name = "threads",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1024,
       .help = "CPU threads; 0 = as many cores as a batch keeps busy"},
      {.name = "device",
       .type = kChoice,
       .default_text = "cpu",
       .choices = "cpu|cuda|auto",
       .help = "where everything runs"},
      {.name = "cuda_graph",
       .type = kFlag,
       .default_text = "true",
       .help = "device=cuda: one launch per iteration instead of one per kernel"},
      {.name = "network",
       .type = kChoice,
       .default_text = "native",
       .choices = "native|torch",
       .help = "which library computes the network"},
      {.name = "gemm",
       .type = kChoice,
       .default_text = "auto",
       .choices = "auto|native|cublas",
       .help = "device=cuda: products of network=native by cuBLASLt; auto: where a layer is wider than 128"},
      {.name = "tf32",
       .type = kFlag,
       .default_text = "false",
       .help = "cuBLASLt rounds what it multiplies to TF32, for tensor cores"},
      {.name = "eval_every",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows between evaluations; 0 = total_steps / 20"},
      {.name = "eval_episodes",
       .type = kInteger,
       .default_text = "100",
       .min = 1,
       .max = 1 << 20,
       .help = "episodes of each evaluation"},
      {.name = "log_every",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows between metric rows; 0 = total_steps / 100"},
      {.name = "checkpoint_every",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows between checkpoints; 0 = total_steps / 5"},
      {.name = "replay_checkpoint_mib",
       .type = kInteger,
       .default_text = "1024",
       .min = 0,
       .max = 1 << 20,
       .help = "largest replay memory that checkpoints include"},
  };
  return kKeys;
}

void load_preset(Config& config, const std::string& name) {
  for (const Preset& preset : builtin_presets()) {
    if (preset.name == name) config.load_toml(preset.toml, "preset " + name, ConfigLayer::kPreset);
  }
}

std::string preset_name(std::string_view algorithm, const EnvEntry& env) {
  return std::string(algorithm) + "_" + env.spec.id;
}

[[noreturn]] void refuse_preset(const AlgorithmEntry& algorithm, const EnvEntry& env, std::string_view preset) {
  std::string known;
  for (const std::string_view name : named_presets(algorithm, env))
    known += (known.empty() ? "" : ", ") + std::string(name);
  throw UsageError("preset: " + std::string(algorithm.id) + " has no '" + std::string(preset) + "' for " + env.spec.id +
                   (known.empty() ? "; there is none by name" : "; known presets: " + known));
}

}  // namespace

const AlgorithmEntry& find_algorithm(std::string_view id) {
  std::vector<std::string_view> known;
  for (const AlgorithmEntry& entry : algorithms()) {
    if (entry.id == id) return entry;
    known.push_back(entry.id);
  }
  throw UsageError(unknown_name_message("algorithm", id, known));
}

void check_spaces(const AlgorithmEntry& algorithm, const EnvSpec& spec) {
  const bool discrete = spec.action.is_discrete();
  if (discrete ? algorithm.discrete_actions : algorithm.continuous_actions) return;
  std::string fitting;
  for (const AlgorithmEntry& entry : algorithms()) {
    if (discrete ? !entry.discrete_actions : !entry.continuous_actions) continue;
    if (entry.program == "tabular" && !spec.observation.is_discrete()) continue;  // a table has no row for real ones
    fitting += (fitting.empty() ? "" : ", ") + std::string(entry.id);
  }
  throw UsageError(std::string(algorithm.id) + " needs " + (discrete ? "continuous" : "discrete") + " actions, but " +
                   spec.id + " has " + (discrete ? "discrete" : "continuous") +
                   " ones; fitting algorithms: " + fitting);
}

std::vector<std::string_view> named_presets(const AlgorithmEntry& algorithm, const EnvEntry& env) {
  const std::string prefix = preset_name(algorithm.id, env) + "@";
  std::vector<std::string_view> names;
  for (const Preset& preset : builtin_presets()) {
    if (preset.name.starts_with(prefix)) names.push_back(preset.name.substr(prefix.size()));
  }
  const auto shorter = [](std::string_view a, std::string_view b) { return a.size() < b.size(); };
  std::stable_sort(names.begin(), names.end(), shorter);  // numbers by their size
  return names;
}

bool has_preset(const AlgorithmEntry& algorithm, const EnvEntry& env) {
  const std::string own = preset_name(algorithm.id, env), shared = preset_name(algorithm.program, env);
  const auto tuned = [&](const Preset& preset) { return preset.name == own || preset.name == shared; };
  return std::any_of(builtin_presets().begin(), builtin_presets().end(), tuned);
}

Config make_config(const AlgorithmEntry& algorithm, const EnvEntry& env, std::string_view preset) {
  Config config;
  config.declare(common_keys());
  config.declare(algorithm.keys());
  for (const ParamInfo& param : env.params) {
    // The registry checks values: only it knows lists, maps and choices.
    const ConfigKey key{
        .name = param.name, .type = ConfigType::kText, .default_text = param.default_text, .help = param.help};
    config.declare(std::span(&key, 1), "env.");
  }
  load_preset(config, std::string(algorithm.program));
  load_preset(config, preset_name(algorithm.program, env));
  if (algorithm.id != algorithm.program) {
    load_preset(config, std::string(algorithm.id));
    load_preset(config, preset_name(algorithm.id, env));
  }
  if (preset.empty()) return config;
  const std::vector<std::string_view> names = named_presets(algorithm, env);
  if (std::find(names.begin(), names.end(), preset) == names.end()) refuse_preset(algorithm, env, preset);
  load_preset(config, preset_name(algorithm.id, env) + "@" + std::string(preset));
  return config;
}

EnvParameters env_parameters(const Config& config, const EnvEntry& env) {
  EnvParameters parameters;
  for (const ParamInfo& param : env.params) {
    const std::string name = "env." + param.name;
    if (config.source(name) != ConfigLayer::kDefault) parameters.emplace_back(param.name, config.text(name));
  }
  return parameters;
}

}  // namespace stampede
