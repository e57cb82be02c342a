// SPDX-License-Identifier: Apache-2.0
// What `train`, `resume` and `eval` share: assignments to a configuration, run folders, checkpoints by name.
#pragma once

#include <string>

#include "cli/argument_parser.h"
#include "train/algorithms.h"
#include "train/checkpoint.h"

namespace stampede {

// Puts key=value words and --param name=value into the configuration. Throws UsageError for an unknown key (nearest
// named) or a bad value.
void apply_assignments(Config& config, const Arguments& arguments);

// What a run writes into its config.toml: algorithm, environment, every key with its value.
std::string run_config_text(const AlgorithmEntry& algorithm, const EnvEntry& env, const Config& config);

// The keys of a TOML file, such as a run's config.toml. Throws UsageError with file and line, also when the file names
// another algorithm or environment.
void load_run_config(Config& config, const std::string& path, const AlgorithmEntry& algorithm, const EnvEntry& env);

// Makes a new run folder: `requested`, or runs/<name>, runs/<name>_2, ... Throws UsageError when `requested` exists and
// is not an empty folder, or cannot be written.
std::string make_run_folder(const std::string& requested, const std::string& name);

// The checkpoint of a run folder, or the file itself. Throws UsageError when there is none.
std::string checkpoint_of(const std::string& run_or_checkpoint);

// The configuration a checkpoint was made with.
Config config_of(const CheckpointInfo& info, const AlgorithmEntry& algorithm, const EnvEntry& env);

}  // namespace stampede
