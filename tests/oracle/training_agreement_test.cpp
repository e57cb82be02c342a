// SPDX-License-Identifier: Apache-2.0
// The same run trained with either network ends in the same parameters, up to rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "agents/networks/mlp_network.h"
#include "train/algorithms.h"
#include "train/torch_library.h"

namespace stampede {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

struct RunCase {
  std::string algorithm, environment;
  Settings settings;
  int iterations;
};

struct Outcome {
  std::vector<float> initial, parameters;  // [parameter_count]
  std::int64_t updates;
  TrainerMetrics metrics;
};

std::vector<float> parameters_of(Trainer& trainer) {
  for (const StateBlock& block : trainer.state_blocks(false)) {
    if (block.name != "network.parameters") continue;
    const auto* const data = static_cast<const float*>(block.data);
    return {data, data + block.shape[0]};
  }
  ADD_FAILURE() << "the trainer shows no network.parameters";
  return {};
}

Outcome train(const RunCase& run, const NetworkFactory& factory) {
  const AlgorithmEntry& algorithm = find_algorithm(run.algorithm);
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& env = registry.find(run.environment);
  Config config = make_config(algorithm, env);
  for (const auto& [name, value] : run.settings) config.set(name, value, ConfigLayer::kCommandLine);
  const auto trainer = algorithm.make({config, env, env_parameters(config, env), Stream::cpu(1), factory});
  trainer->initialize();
  Outcome outcome{parameters_of(*trainer), {}, 0, {}};
  for (int i = 0; i < run.iterations; ++i) trainer->iterate();
  outcome.parameters = parameters_of(*trainer);
  outcome.updates = trainer->updates();
  outcome.metrics = trainer->read_metrics();
  return outcome;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(static_cast<double>(a[i] - b[i])));
  return largest;
}

void expect_agreement(const RunCase& run) {
  SCOPED_TRACE(run.algorithm + " on " + run.environment);
  const Outcome native = train(run, [](const NetworkSpec& spec) { return std::make_unique<MlpNetwork>(spec); });
  const Outcome torch = train(run, load_torch_networks());
  ASSERT_EQ(native.parameters.size(), torch.parameters.size());
  EXPECT_EQ(native.updates, torch.updates);
  EXPECT_GT(native.updates, 50);
  EXPECT_FALSE(native.metrics.failed || torch.metrics.failed);
  EXPECT_EQ(distance(native.initial, torch.initial), 0.0);
  // Learning moved the parameters a thousand times as far as the libraries' rounding can.
  EXPECT_GT(distance(native.initial, native.parameters), 0.02);
  EXPECT_LT(distance(native.parameters, torch.parameters), 2e-5);
  ASSERT_EQ(native.metrics.values.size(), torch.metrics.values.size());
  for (std::size_t k = 0; k < native.metrics.values.size(); ++k) {
    const auto& [name, value] = native.metrics.values[k];
    EXPECT_NEAR(torch.metrics.values[k].second, value, 1e-4 * std::max(1.0, std::fabs(value))) << name;
  }
}

TEST(TrainingAgreement, PpoEndsInTheSameParameters) {
  const Settings common = {{"num_envs", "8"},    {"rollout_steps", "32"},    {"epochs", "4"},
                           {"minibatches", "4"}, {"learning_rate", "0.001"}, {"entropy_coef", "0.01"},
                           {"hidden", "33,17"}};
  Settings shared = common;
  shared.insert(shared.end(), {{"shared_torso", "true"}, {"activation", "relu"}, {"clip_value", "true"}});
  expect_agreement({"ppo", "CartPole-v1", common, 5});
  expect_agreement({"ppo", "CartPole-v1", shared, 5});
  expect_agreement({"ppo", "Pendulum-v1", common, 5});
  expect_agreement({"ppo", "FrozenLake-v1", common, 5});
  Settings state_noise = common;
  state_noise.insert(state_noise.end(), {{"sde", "true"}, {"sde_learn_features", "true"}});
  expect_agreement({"ppo", "Pendulum-v1", state_noise, 5});
}

TEST(TrainingAgreement, DqnEndsInTheSameParameters) {
  const Settings common = {{"num_envs", "8"},       {"batch_size", "33"},      {"learning_starts", "200"},
                           {"gradient_steps", "2"}, {"target_interval", "10"}, {"learning_rate", "0.001"},
                           {"hidden", "64,17"}};
  Settings squared = common;
  squared.insert(squared.end(), {{"loss", "squared"}, {"target_tau", "0.5"}, {"activation", "tanh"}});
  expect_agreement({"dqn", "CartPole-v1", common, 80});
  expect_agreement({"dqn", "MountainCar-v0", squared, 80});
  expect_agreement({"dqn", "Taxi-v3", common, 80});
}

// With layer normalisation, whose division by a deviation magnifies rounding.
TEST(TrainingAgreement, PqnEndsInTheSameParameters) {
  const Settings common = {{"num_envs", "8"},    {"rollout_steps", "16"},    {"epochs", "4"},
                           {"minibatches", "4"}, {"learning_rate", "0.001"}, {"hidden", "33,17"}};
  Settings sarsa = common;
  sarsa.insert(sarsa.end(), {{"target", "sarsa"}, {"target_interval", "10"}, {"activation", "tanh"}});
  expect_agreement({"pqn", "CartPole-v1", common, 5});
  expect_agreement({"pqn", "Acrobot-v1", sarsa, 5});
  expect_agreement({"pqn", "Taxi-v3", common, 5});
}

}  // namespace
}  // namespace stampede
