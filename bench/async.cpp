// SPDX-License-Identifier: Apache-2.0
// Asynchronous workers: environment steps per second against workers and steps per shared update, one environment each.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/benchmarks.h"
#include "bench/training.h"

namespace stampede {
namespace {

void bench_async(benchmark::State& state, const char* algorithm, int workers, int steps) {
  const EnvRegistry registry = builtin_environments();
  const auto trainer = make_trainer(registry, algorithm, "CartPole-v1", Stream::cpu(1),
                                    {{"workers", std::to_string(workers)},
                                     {"num_envs", std::to_string(workers)},
                                     {"rollout_steps", std::to_string(steps)},
                                     {"hidden", "64,64"},
                                     {"activation", "tanh"},
                                     {"schedule_steps", "1000000000"}});
  trainer->iterate();
  time_env_steps(state, *trainer);
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
