// SPDX-License-Identifier: Apache-2.0
// Updates per second of many tables learning side by side, environments included.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/benchmarks.h"
#include "bench/training.h"

namespace stampede {
namespace {

// Counts learnt transitions: rows that only reset an environment are left out.
void bench_td(benchmark::State& state, const char* algorithm, const char* env, int learners, int threads) {
  const EnvRegistry registry = builtin_environments();
  const auto trainer = make_trainer(
      registry, algorithm, env, Stream::cpu(threads),
      {{"num_envs", std::to_string(learners)}, {"epsilon_schedule", "constant"}, {"epsilon_start", "0.1"}});
  for (int k = 0; k < 50; ++k) trainer->iterate();
  time_env_steps(state, *trainer);
}

void add(const char* algorithm, const char* env, int learners, int threads) {
  const std::string name = std::string("tabular/") + algorithm + "/" + env + "/" + std::to_string(learners) +
                           (threads == 1 ? "/threads:1" : "");
  benchmark::RegisterBenchmark(name.c_str(), bench_td, algorithm, env, learners, threads)->UseRealTime();
}

}  // namespace

void register_tabular_benchmarks() {
  const int cores = core_count();
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
