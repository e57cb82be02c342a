// SPDX-License-Identifier: Apache-2.0
// Asynchronous workers: environment steps per second against workers and steps per shared update, one environment each.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/benchmarks.h"
#include "train/algorithms.h"
#include "train/session.h"

namespace stampede {
namespace {

void bench_async(benchmark::State& state, const char* algorithm, int workers, int steps) {
  const EnvRegistry registry = builtin_environments();
  const AlgorithmEntry& entry = find_algorithm(algorithm);
  Config config = make_config(entry, registry.find("CartPole-v1"));
  const std::pair<const char*, std::string> settings[] = {{"workers", std::to_string(workers)},
                                                          {"num_envs", std::to_string(workers)},
                                                          {"rollout_steps", std::to_string(steps)},
                                                          {"hidden", "64,64"},
                                                          {"activation", "tanh"},
                                                          {"total_steps", "1000000000"},
                                                          {"schedule_steps", "1000000000"}};
  for (const auto& [key, value] : settings) config.set(key, value, ConfigLayer::kCommandLine);
  const auto trainer = entry.make({config, registry.find("CartPole-v1"), {}, Stream::cpu(1), network_factory(config)});
  trainer->initialize();
  trainer->iterate();
  const std::int64_t before = trainer->env_steps();
  for (auto _ : state) trainer->iterate();
  state.SetItemsProcessed(trainer->env_steps() - before);
}

}  // namespace

void register_async_benchmarks() {
  for (const auto& [name, algorithm] : {std::pair{"a3c", "a3c"}, std::pair{"q", "async_q"}}) {
    for (const int workers : {1, 2}) {
      for (const int steps : {5, 20}) {
        const std::string title = std::string("async/") + name + "/CartPole-v1/workers:" + std::to_string(workers) +
                                  "/steps:" + std::to_string(steps);
        benchmark::RegisterBenchmark(title.c_str(), bench_async, algorithm, workers, steps)->UseRealTime();
      }
    }
  }
}

}  // namespace stampede
