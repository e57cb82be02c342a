// SPDX-License-Identifier: Apache-2.0
// Updates per second of many tables learning side by side, environments included.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <thread>

#include "bench/benchmarks.h"
#include "train/session.h"

namespace stampede {
namespace {

using Settings = std::vector<std::pair<const char*, std::string>>;

// Counts learnt transitions: rows that only reset an environment are left out.
void bench_td(benchmark::State& state, const char* algorithm, const char* env, int learners, int threads,
              const Settings& settings) {
  const EnvRegistry registry = builtin_environments();
  const AlgorithmEntry& entry = find_algorithm(algorithm);
  Config config = make_config(entry, registry.find(env));
  config.set("num_envs", std::to_string(learners), ConfigLayer::kCommandLine);
  config.set("total_steps", "100000000000", ConfigLayer::kCommandLine);
  config.set("epsilon_schedule", "constant", ConfigLayer::kCommandLine);
  config.set("epsilon_start", "0.1", ConfigLayer::kCommandLine);
  for (const auto& [key, value] : settings) config.set(key, value, ConfigLayer::kCommandLine);
  const auto trainer = entry.make({config, registry.find(env), {}, Stream::cpu(threads), network_factory(config)});
  trainer->initialize();
  for (int k = 0; k < 50; ++k) trainer->iterate();
  const std::int64_t before = trainer->env_steps();
  for (auto _ : state) trainer->iterate();
  state.SetItemsProcessed(trainer->env_steps() - before);
}

void add(const char* algorithm, const char* env, int learners, int threads, const Settings& settings = {}) {
  const std::string name = std::string("tabular/") + algorithm + "/" + env + "/" + std::to_string(learners) +
                           (threads == 1 ? "/threads:1" : "");
  benchmark::RegisterBenchmark(name.c_str(), bench_td, algorithm, env, learners, threads, settings)->UseRealTime();
}

}  // namespace

void register_tabular_benchmarks() {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (const int threads : {cores, 1}) {
    add("q_learning", "FrozenLake-v1", 1024, threads);
    if (cores == 1) break;
  }
  for (const char* algorithm : {"sarsa", "expected_sarsa", "soft_q_tabular", "mc_control", "dyna_q"}) {
    add(algorithm, "FrozenLake-v1", 1024, cores);
  }
  add("q_learning", "Taxi-v4", 1024, cores);
  add("linear_q", "MountainCar-v0", 1024, cores);
}

}  // namespace stampede
