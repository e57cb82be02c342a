// SPDX-License-Identifier: Apache-2.0
// Whole training loops: PPO, A2C and PQN steps per second, DQN updates per second with sampling.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "bench/benchmarks.h"
#include "bench/training.h"

namespace stampede {
namespace {

// The setting of the JAX script in PureJaxRL's style: two networks 64-64 tanh, 128 steps, 4 epochs of 4 minibatches.
void bench_ppo(benchmark::State& state, const char* env, int environments, int threads) {
  const EnvRegistry registry = builtin_environments();
  const auto trainer = make_trainer(registry, "ppo", env, Stream::cpu(threads),
                                    {{"num_envs", std::to_string(environments)},
                                     {"rollout_steps", "128"},
                                     {"epochs", "4"},
                                     {"minibatches", "4"},
                                     {"learning_rate", "0.00025"},
                                     {"entropy_coef", "0.01"},
                                     {"clip_value", "true"},
                                     {"hidden", "64,64"},
                                     {"activation", "tanh"},
                                     {"shared_torso", "false"},
                                     {"schedule_steps", "1000000000"}});
  trainer->iterate();
  time_env_steps(state, *trainer);
}

// One gradient step per rollout of 16 steps.
void bench_a2c(benchmark::State& state, int environments, int threads) {
  const EnvRegistry registry = builtin_environments();
  const auto trainer = make_trainer(registry, "a2c", "CartPole-v1", Stream::cpu(threads),
                                    {{"num_envs", std::to_string(environments)},
                                     {"rollout_steps", "16"},
                                     {"hidden", "64,64"},
                                     {"activation", "tanh"},
                                     {"shared_torso", "false"},
                                     {"schedule_steps", "1000000000"}});
  trainer->iterate();
  time_env_steps(state, *trainer);
}

// 64-64 rectifiers, 32 steps, 2 epochs of 4 minibatches; with and without layer normalisation.
void bench_pqn(benchmark::State& state, int environments, bool layer_norm, int threads) {
  const EnvRegistry registry = builtin_environments();
  const auto trainer = make_trainer(registry, "pqn", "CartPole-v1", Stream::cpu(threads),
                                    {{"num_envs", std::to_string(environments)},
                                     {"rollout_steps", "32"},
                                     {"epochs", "2"},
                                     {"minibatches", "4"},
                                     {"learning_rate", "0.00025"},
                                     {"hidden", "64,64"},
                                     {"activation", "relu"},
                                     {"layer_norm", layer_norm ? "true" : "false"},
                                     {"schedule_steps", "1000000000"}});
  trainer->iterate();
  time_env_steps(state, *trainer);
}

void bench_dqn(benchmark::State& state, const char* algorithm, int width, int batch, int threads) {
  const EnvRegistry registry = builtin_environments();
  const std::string hidden = std::to_string(width) + "," + std::to_string(width);
  constexpr int kUpdates = 64;
  const bool plain = std::string_view(algorithm) == "dqn";  // the others keep the options of their presets
  const auto trainer = make_trainer(registry, algorithm, "CartPole-v1", Stream::cpu(threads),
                                    {{"num_envs", "8"},
                                     {"hidden", hidden},
                                     {"batch_size", std::to_string(batch)},
                                     {"buffer_size", "100000"},
                                     {"learning_starts", "1000"},
                                     {"train_interval", "128"},
                                     {"gradient_steps", std::to_string(kUpdates)},
                                     {"activation", "relu"},
                                     {"loss", "huber"},
                                     {"schedule_steps", "100000"},
                                     {plain ? "n_step" : "loss", plain ? "1" : "huber"}});
  while (trainer->updates() < kUpdates) trainer->iterate();
  time_updates(state, *trainer);
  state.SetLabel("includes 1024 environment steps per 64 updates");
}

// Two networks 64-64 tanh on 2048 rows: 15 Fisher products, the line search, 10 epochs of 16 minibatches of the critic.
void bench_trpo(benchmark::State& state, int threads) {
  const EnvRegistry registry = builtin_environments();
  const auto trainer = make_trainer(registry, "trpo", "CartPole-v1", Stream::cpu(threads),
                                    {{"num_envs", "16"},
                                     {"rollout_steps", "128"},
                                     {"hidden", "64,64"},
                                     {"activation", "tanh"},
                                     {"cg_iterations", "15"},
                                     {"cg_tolerance", "0"},
                                     {"critic_epochs", "10"},
                                     {"critic_minibatches", "16"},
                                     {"schedule_steps", "1000000000"}});
  trainer->iterate();
  for (auto _ : state) trainer->iterate();
  state.SetItemsProcessed(state.iterations());
  state.SetLabel("updates, each with collecting its 2048 rows");
}

std::string with_threads(std::string name, int threads) {
  return threads > 1 ? name + "/threads:" + std::to_string(threads) : name;
}

}  // namespace

void register_train_benchmarks() {
  const int cores = core_count();
  benchmark::RegisterBenchmark("train/ppo/CartPole-v1/1024", bench_ppo, "CartPole-v1", 1024, cores)->UseRealTime();
  if (cores > 1) {
    benchmark::RegisterBenchmark("train/ppo/CartPole-v1/1024/threads:1", bench_ppo, "CartPole-v1", 1024, 1)
        ->UseRealTime();
  }
  benchmark::RegisterBenchmark("train/a2c/CartPole-v1/1024", bench_a2c, 1024, cores)->UseRealTime();
  if (cores > 1) {
    benchmark::RegisterBenchmark("train/a2c/CartPole-v1/1024/threads:1", bench_a2c, 1024, 1)->UseRealTime();
  }
  for (const int environments : {4, 64, 4096}) {
    benchmark::RegisterBenchmark(("train/ppo/CartPole-v1/" + std::to_string(environments)).c_str(), bench_ppo,
                                 "CartPole-v1", environments, environments < 64 ? 1 : cores)
        ->UseRealTime();
  }
  for (int threads = 1; threads <= cores; threads += std::max(1, cores - 1)) {
    benchmark::RegisterBenchmark(with_threads("train/trpo/update/2048", threads).c_str(), bench_trpo, threads)
        ->UseRealTime();
  }
  for (int threads = cores; threads > 0; threads = threads > 1 ? 1 : 0) {
    const std::string name = "train/pqn/CartPole-v1/1024", suffix = threads < cores ? "/threads:1" : "";
    benchmark::RegisterBenchmark((name + suffix).c_str(), bench_pqn, 1024, true, threads)->UseRealTime();
    benchmark::RegisterBenchmark((name + "/plain" + suffix).c_str(), bench_pqn, 1024, false, threads)->UseRealTime();
  }
  for (const char* algorithm : {"dqn", "rainbow"}) {
    for (const int width : {64, 256}) {
      for (int threads = 1; threads <= cores; threads += std::max(1, cores - 1)) {
        const std::string size = std::to_string(width) + "x" + std::to_string(width) + "/64";
        const std::string name = "train/" + std::string(algorithm) + "/updates/" + size;
        benchmark::RegisterBenchmark(with_threads(name, threads).c_str(), bench_dqn, algorithm, width, 64, threads)
            ->UseRealTime();
      }
    }
  }
}

}  // namespace stampede
