// SPDX-License-Identifier: Apache-2.0
// Trainers as benchmarks run them: iterations alone, without a run folder, evaluations or a log.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/session.h"

namespace stampede {

using Settings = std::vector<std::pair<std::string, std::string>>;  // keys and values, as of a command line

// Presets with `settings` over them, and steps enough for any benchmark; initialised. The registry must outlive it.
std::unique_ptr<Trainer> make_trainer(const EnvRegistry& registry, std::string_view algorithm, std::string_view env,
                                      const Stream& stream, const Settings& settings);

// Times iterations; an item is an environment step, or an update.
void time_env_steps(benchmark::State& state, Trainer& trainer);
void time_updates(benchmark::State& state, Trainer& trainer);

}  // namespace stampede
