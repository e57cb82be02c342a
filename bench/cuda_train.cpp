// SPDX-License-Identifier: Apache-2.0
// Training on a GPU, iterations as CUDA graphs and without: environment steps or updates per second, nodes of a graph.
// Without a GPU nothing is registered.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/benchmarks.h"
#include "bench/training.h"
#include "kernels/graph.h"

namespace stampede {
namespace {

struct TrainingCase {
  std::string name, algorithm, env;
  Settings settings;
  int iterations;  // between two waits for the device
  bool counts_updates = false;
};

void bench_training(benchmark::State& state, const TrainingCase& c, bool graphs) {
  const EnvRegistry registry = builtin_environments();
  Settings settings{{"device", "cuda"}, {"schedule_steps", "1000000000"}, {"hidden", "64,64"}};
  settings.insert(settings.end(), c.settings.begin(), c.settings.end());
  const Stream stream = Stream::cuda();
  const auto trainer = make_trainer(registry, c.algorithm, c.env, stream, settings);
  Graph graph(stream, graphs);
  const auto iterate = [&] {
    for (int k = 0; k < c.iterations; ++k) graph.run([&] { trainer->iterate(); });
    stream.synchronize();
  };
  while (trainer->updates() == 0) iterate();
  iterate();
  const auto count = [&] { return c.counts_updates ? trainer->updates() : trainer->env_steps(); };
  const std::int64_t before = count();
  for (auto _ : state) iterate();
  state.SetItemsProcessed(count() - before);
  state.counters["iterations_per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * c.iterations, benchmark::Counter::kIsRate);
  if (graphs) {
    state.counters["graph_nodes"] = graph.nodes();
    state.counters["changed_nodes"] = graph.changed_nodes();
  }
  std::size_t bytes = 0;
  for (const auto& [part, size] : trainer->memory_budget()) bytes += size;
  state.counters["device_MiB"] = static_cast<double>(bytes) / 1048576.0;
}

Settings rollout_settings(int environments, int steps) {
  return {{"num_envs", std::to_string(environments)}, {"rollout_steps", std::to_string(steps)}, {"activation", "tanh"}};
}

TrainingCase ppo_case(int environments, bool shared_torso, const Settings& more = {}, const std::string& suffix = "") {
  Settings settings = rollout_settings(environments, 128);
  settings.insert(settings.end(), more.begin(), more.end());
  settings.insert(settings.end(),
                  {{"epochs", "4"}, {"minibatches", "4"}, {"shared_torso", shared_torso ? "true" : "false"}});
  return {"ppo/CartPole-v1/" + std::to_string(environments) + (shared_torso ? "/shared_torso" : "") + suffix, "ppo",
          "CartPole-v1", settings, 4};
}

// One gradient step of `batch` rows per step of 4096 environments.
TrainingCase dqn_case(const std::string& algorithm, int batch, const Settings& more = {},
                      const std::string& suffix = "") {
  Settings settings{{"num_envs", "4096"},         {"buffer_size", "1048576"}, {"batch_size", std::to_string(batch)},
                    {"learning_starts", "65536"}, {"train_interval", "1"},    {"gradient_steps", "1"}};
  settings.insert(settings.end(), more.begin(), more.end());
  return {
      algorithm + "/CartPole-v1/4096/" + std::to_string(batch) + suffix, algorithm, "CartPole-v1", settings, 64, true};
}

TrainingCase sac_case(int environments, int batch) {
  return {"sac/Pendulum-v1/" + std::to_string(environments) + "/" + std::to_string(batch),
          "sac",
          "Pendulum-v1",
          {{"num_envs", std::to_string(environments)},
           {"buffer_size", "1048576"},
           {"batch_size", std::to_string(batch)},
           {"learning_starts", std::to_string(16 * environments)},
           {"gradient_steps", "1"}},
          64,
          true};
}

}  // namespace

void register_cuda_training_benchmarks() {
  if (!cuda_unavailable_reason().empty()) return;
  const TrainingCase cases[] = {
      ppo_case(1024, false),
      ppo_case(8192, false),
      ppo_case(8192, true),
      ppo_case(8192, true, {{"precision", "bf16"}}, "/bf16"),
      ppo_case(8192, false, {{"fused", "false"}}, "/stepwise"),
      {"a2c/CartPole-v1/8192", "a2c", "CartPole-v1", rollout_settings(8192, 16), 8},
      {"pqn/CartPole-v1/8192", "pqn", "CartPole-v1", rollout_settings(8192, 32), 4},
      {"pqn/CartPole-v1/8192/stepwise",
       "pqn",
       "CartPole-v1",
       {{"num_envs", "8192"}, {"rollout_steps", "32"}, {"activation", "tanh"}, {"fused", "false"}},
       4},
      dqn_case("dqn", 8192),
      dqn_case("dqn", 8192, {{"fused", "false"}}, "/stepwise"),
      dqn_case("per_dqn", 4096),
      sac_case(1024, 256),
  };
  for (const TrainingCase& c : cases) {
    benchmark::RegisterBenchmark(("cuda/train/" + c.name).c_str(), bench_training, c, true)->UseRealTime();
    benchmark::RegisterBenchmark(("cuda/train/" + c.name + "/no_graph").c_str(), bench_training, c, false)
        ->UseRealTime();
  }
}

}  // namespace stampede
