// SPDX-License-Identifier: Apache-2.0
// The algorithms a program knows, by id: their configuration keys, the action spaces they fit, their trainers.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "train/trainer.h"

namespace stampede {

// Several ids may share one program: its keys and its trainer, with options that the id's preset switches on.
struct AlgorithmEntry {
  std::string_view id;
  std::string_view program;  // the id whose presets lie below this one's own; the id itself for most
  std::string_view summary;  // with its reference
  bool discrete_actions;
  bool continuous_actions;
  std::vector<ConfigKey> (*keys)();
  std::unique_ptr<Trainer> (*make)(const TrainerSetup& setup);
  std::int64_t (*batch_rows)(const Config& config);  // rows of one gradient step
};

std::span<const AlgorithmEntry> algorithms();

// Throws UsageError that names the nearest known id.
const AlgorithmEntry& find_algorithm(std::string_view id);

// Throws UsageError when the algorithm cannot act in the environment, naming those that can.
void check_spaces(const AlgorithmEntry& algorithm, const EnvSpec& spec);

// All keys of a run: common ones, the algorithm's, and the environment's parameters under "env.". Defaults, then the
// presets "<program>", "<program>_<environment>", "<algorithm>" and "<algorithm>_<environment>"; over them, if `preset`
// is not empty, "<algorithm>_<environment>@<preset>". Throws UsageError that names those there are.
Config make_config(const AlgorithmEntry& algorithm, const EnvEntry& env, std::string_view preset = {});

// What `preset` may be, short names first.
std::vector<std::string_view> named_presets(const AlgorithmEntry& algorithm, const EnvEntry& env);

// There are settings for this environment, of the algorithm or its program, over those that hold everywhere.
bool has_preset(const AlgorithmEntry& algorithm, const EnvEntry& env);

// The environment parameters that a configuration sets, as text.
EnvParameters env_parameters(const Config& config, const EnvEntry& env);

}  // namespace stampede
