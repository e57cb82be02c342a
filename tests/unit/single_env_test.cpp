// SPDX-License-Identifier: Apache-2.0
// One environment stepped from the host: an episode is repeated by a reset, and random actions are new in every row.
#include "sim/single_env.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "kernels/error.h"

namespace stampede {
namespace {

std::vector<std::vector<double>> states_of(SingleEnv& env, int steps) {
  std::vector<std::vector<double>> states{env.reset().state};
  for (int t = 0; t < steps; ++t) states.push_back(env.step(env.random_action(5)).state);
  return states;
}

TEST(SingleEnv, AResetBeginsTheSameRandomNumbersAnew) {
  const EnvRegistry registry = builtin_environments();
  for (const char* id : {"FrozenLake8x8-v1", "CartPole-v1"}) {
    SingleEnv env(registry.find(id), {}, 3, Stream::cpu());
    const auto states = states_of(env, 30);
    EXPECT_EQ(states_of(env, 30), states) << id;
  }
}

TEST(SingleEnv, RandomActionsAreNewInEveryRowAndInTheSpace) {
  const EnvRegistry registry = builtin_environments();
  SingleEnv taxi(registry.find("Taxi-v4"), {}, 3, Stream::cpu()),
      pendulum(registry.find("Pendulum-v1"), {}, 3, Stream::cpu());
  std::set<double> drawn;
  for (int t = 0; t < 100; ++t) {
    const std::vector<double> action = taxi.random_action(1);
    EXPECT_EQ(action, taxi.random_action(1));
    drawn.insert(action[0]);
    taxi.step(action);
    const std::vector<double> torque = pendulum.random_action(1);
    ASSERT_GE(torque[0], -2.0);
    ASSERT_LE(torque[0], 2.0);
    pendulum.step(torque);
  }
  EXPECT_EQ(drawn, (std::set<double>{0, 1, 2, 3, 4, 5}));
}

TEST(SingleEnv, TimeLimitsAreAParameterOfEveryEnvironment) {
  const EnvRegistry registry = builtin_environments();
  for (const EnvEntry& entry : registry.entries()) {
    SingleEnv env(entry, {{"max_episode_steps", "3"}}, 1, Stream::cpu());
    EXPECT_EQ(env.spec().time_limit, 3);
    env.reset();
    EnvRow row;
    int steps = 0;
    do {
      row = env.step(env.random_action(1));
      ++steps;
    } while (!row.terminated && !row.truncated);
    EXPECT_TRUE(row.terminated ? steps <= 3 : steps == 3) << entry.spec.id << ": " << steps;
  }
}

TEST(SingleEnv, EpisodesWithoutALimitGoOn) {
  const EnvRegistry registry = builtin_environments();
  SingleEnv env(registry.find("Pendulum-v1"), {{"max_episode_steps", "0"}}, 1, Stream::cpu());
  EXPECT_EQ(env.spec().time_limit, kNoTimeLimit);
  env.reset();
  for (int t = 0; t < 1000; ++t) ASSERT_FALSE(env.step(env.random_action(1)).truncated) << t;
  EXPECT_THROW(registry.find("Pendulum-v1").resolve({{"max_episode_steps", "-1"}}), UsageError);
}

TEST(SingleEnv, TakesNoActionBesideTheSpace) {
  const EnvRegistry registry = builtin_environments();
  SingleEnv env(registry.find("CartPole-v1"), {}, 1, Stream::cpu());
  for (const double action : {-1.0, 2.0, 0.5}) EXPECT_THROW(env.step({&action, 1}), UsageError) << action;
  EXPECT_THROW(env.step({}), UsageError);
}

}  // namespace
}  // namespace stampede
