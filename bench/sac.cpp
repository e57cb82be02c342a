// SPDX-License-Identifier: Apache-2.0
// Soft actor-critic on one environment with one update per step: updates per second and the arithmetic they do.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include "bench/benchmarks.h"
#include "bench/training.h"

namespace stampede {
namespace {

constexpr int kObservations = 3, kActions = 1;

// Multiplications and additions of a forward pass of one row.
double forward_flops(int inputs, int width, int outputs) {
  const double w = width;
  return 2.0 * (inputs * w + w * w + w * outputs);
}

// Per sampled row. Targets: the policy and both target critics; critics: forward and both halves of the gradient; the
// policy's step: itself forward and back, both critics forward and back to their inputs.
double update_flops(int width) {
  const double actor = forward_flops(kObservations, width, 2 * kActions);
  const double critics = 2.0 * forward_flops(kObservations + kActions, width, 1);
  return actor + critics + 3.0 * critics + 3.0 * actor + 2.0 * critics;
}

void bench_sac(benchmark::State& state, int width, int batch, int threads) {
  const EnvRegistry registry = builtin_environments();
  const auto trainer = make_trainer(registry, "sac", "Pendulum-v1", Stream::cpu(threads),
                                    {{"num_envs", "1"},
                                     {"hidden", std::to_string(width) + "," + std::to_string(width)},
                                     {"batch_size", std::to_string(batch)},
                                     {"buffer_size", "100000"},
                                     {"learning_starts", "1000"},
                                     {"gradient_steps", "1"}});
  while (trainer->updates() < 16) trainer->iterate();
  const std::int64_t before = trainer->updates();
  time_updates(state, *trainer);
  const auto updates = static_cast<double>(trainer->updates() - before);
  state.counters["GFLOPS"] =
      benchmark::Counter(updates * batch * update_flops(width) * 1e-9, benchmark::Counter::kIsRate);
}

}  // namespace

void register_sac_benchmarks() {
  const int cores = core_count();
  for (const auto& [width, batch] : {std::pair{64, 100}, {256, 256}}) {
    for (int threads = 1; threads <= cores; threads += std::max(1, cores - 1)) {
      std::string name =
          "train/sac/updates/" + std::to_string(width) + "x" + std::to_string(width) + "/" + std::to_string(batch);
      if (threads > 1) name += "/threads:" + std::to_string(threads);
      benchmark::RegisterBenchmark(name.c_str(), bench_sac, width, batch, threads)->UseRealTime();
    }
  }
}

}  // namespace stampede
