// SPDX-License-Identifier: Apache-2.0
#include "bench/training.h"

#include <cstdint>

namespace stampede {

std::unique_ptr<Trainer> make_trainer(const EnvRegistry& registry, std::string_view algorithm, std::string_view env,
                                      const Stream& stream, const Settings& settings) {
  const AlgorithmEntry& entry = find_algorithm(algorithm);
  Config config = make_config(entry, registry.find(env));
  config.set("total_steps", "1000000000000", ConfigLayer::kCommandLine);
  for (const auto& [key, value] : settings) config.set(key, value, ConfigLayer::kCommandLine);
  auto trainer = entry.make({config, registry.find(env), {}, stream, network_factory(config)});
  trainer->initialize();
  return trainer;
}

void time_env_steps(benchmark::State& state, Trainer& trainer) {
  const std::int64_t before = trainer.env_steps();
  for (auto _ : state) trainer.iterate();
  state.SetItemsProcessed(trainer.env_steps() - before);
}

void time_updates(benchmark::State& state, Trainer& trainer) {
  const std::int64_t before = trainer.updates();
  for (auto _ : state) trainer.iterate();
  state.SetItemsProcessed(trainer.updates() - before);
}

}  // namespace stampede
