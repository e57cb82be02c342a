// SPDX-License-Identifier: Apache-2.0
// Value-based methods on CUDA train to the same bits whether their rows come from the fused kernel or step by step,
// where updates are stepwise in both.
#include <gtest/gtest.h>

#include <string>

#include "tests/parity/device_array.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

struct ValueMethod {
  std::string algorithm, env;
  Keys keys;
};

StateBytes train(const ValueMethod& method, const std::string& fused) {
  Keys keys{{"num_envs", "70"}, {"fused", fused}};
  keys.insert(keys.end(), method.keys.begin(), method.keys.end());
  TrainingRun run(method.algorithm, method.env, keys, Stream::cuda());
  run.iterate(on_software_device() ? 7 : 12);
  return run.state();
}

TEST(ValueRolloutParity, TrainsToTheBitsOfTheStepwisePath) {
  const std::string reason = cuda_unavailable_reason();
  if (!reason.empty()) GTEST_SKIP() << reason;
  // Hidden layers that the fused update does not have.
  const auto dqn = [](const std::string& env, Keys more) {
    const Keys common{{"hidden", "128,64"}, {"learning_starts", "140"}, {"buffer_size", "350"}, {"batch_size", "64"}};
    more.insert(more.end(), common.begin(), common.end());
    return ValueMethod{"dqn", env, more};
  };
  const ValueMethod methods[] = {
      {"pqn", "CartPole-v1", {{"rollout_steps", "5"}}},
      {"pqn", "Taxi-v3", {{"rollout_steps", "70"}, {"target", "sarsa"}}},
      {"pqn", "Acrobot-v1", {{"rollout_steps", "3"}, {"target", "expected_sarsa"}, {"target_interval", "3"}}},
      {"pqn", "FrozenLake-v1", {{"layer_norm", "false"}, {"epsilon_ends", "[0.1, 0.5]"}}},
      dqn("CartPole-v1", {{"train_interval", "3"}, {"epsilon_ends", "[0.1, 0.5]"}}),
      dqn("MountainCar-v0", {{"dueling", "true"}, {"noisy", "heads"}}),
      dqn("CartPole-v1", {{"prioritized", "true"}, {"soft", "true"}, {"exploration", "boltzmann"}}),
  };
  for (const ValueMethod& method : methods) {
    EXPECT_EQ(differing_entries(train(method, "auto"), train(method, "false")), std::vector<std::string>{})
        << method.algorithm << " on " << method.env;
  }
}

}  // namespace
}  // namespace stampede
