// SPDX-License-Identifier: Apache-2.0
// Off-policy actor-critics reach values that are known in closed form, and stated returns in seconds.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/training_run.h"
#include "train/session.h"

namespace stampede {
namespace {

// Reward 1 - (action - 0.5)^2, actions in [-2, 2]; 0.9 a step.
const Keys kToy{{"num_envs", "4"},          {"buffer_size", "4000"}, {"batch_size", "64"},
                {"hidden", "32"},           {"gamma", "0.9"},        {"learning_starts", "200"},
                {"learning_rate", "0.003"}, {"target_tau", "0.02"},  {"gradient_steps", "2"}};

Keys with(Keys keys, const Keys& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

double metric(TrainingRun& run, const std::string& name) {
  for (const auto& [key, value] : run.trainer().read_metrics().values) {
    if (key == name) return value;
  }
  ADD_FAILURE() << name;
  return 0.0;
}

double greedy_return(TrainingRun& run) {
  return run.trainer().evaluate(evaluation_seed(77, 0), EvaluationMode::kGreedy).return_mean;
}

struct Method {
  std::string algorithm;
  Keys keys;
};
const std::vector<Method> kMethods = {
    {"sac", {{"automatic_temperature", "false"}, {"alpha", "0.001"}}},
    {"sac", {{"automatic_temperature", "false"}, {"alpha", "0.001"}, {"value_network", "true"}}},
    {"td3", {{"target_tau", "0.05"}, {"target_noise", "0.05"}}},  // smoothing costs value where rewards are curved
    {"ddpg", {{"critics", "1"}, {"policy_delay", "1"}, {"target_noise", "0"}, {"noise", "ornstein_uhlenbeck"}}}};

// Truncated every 7 steps, so a truncation taken for an end would give at most 5.2.
TEST(ActorCriticTimeLimit, TruncationIsBootstrapped) {
  for (const Method& method : kMethods) {
    TrainingRun run(method.algorithm, "SquaredAction-v0", with(kToy, method.keys));
    run.run_to(6000);
    metric(run, "losses/td_target");
    run.run_to(6400);
    EXPECT_NEAR(metric(run, "losses/td_target"), 9.7, 0.6) << method.algorithm;
    EXPECT_NEAR(greedy_return(run), 7.0, 0.2) << method.algorithm;
  }
}

// The best values of the four steps of an episode are 3.439, 2.71, 1.9 and 1; bootstrapping through the end gives ten.
TEST(ActorCriticTimeLimit, TerminationIsNot) {
  for (const Method& method : kMethods) {
    TrainingRun run(method.algorithm, "SquaredActionEnding-v0", with(kToy, method.keys));
    run.run_to(6000);
    metric(run, "losses/td_target");
    run.run_to(6400);
    EXPECT_NEAR(metric(run, "losses/td_target"), 2.2, 0.35) << method.algorithm;
    EXPECT_NEAR(greedy_return(run), 4.0, 0.2) << method.algorithm;
  }
}

TEST(ActorCriticTimeLimit, DiscreteActionsHaveTheSameValue) {
  const Keys keys = with(kToy, {{"automatic_temperature", "false"}, {"alpha", "0.001"}});
  TrainingRun truncated("sac_discrete", "ConstantReward-v0", keys), ended("sac_discrete", "CountdownReward-v0", keys);
  for (TrainingRun* run : {&truncated, &ended}) {
    run->run_to(6000);
    metric(*run, "losses/td_target");
    run->run_to(6400);
  }
  EXPECT_NEAR(metric(truncated, "losses/td_target"), 10.0, 0.4);
  EXPECT_NEAR(metric(ended, "losses/td_target"), (3.439 + 2.71 + 1.9 + 1.0) / 4.0, 0.15);
}

TEST(Learning, SoftActorCriticSwingsThePendulumUp) {
  TrainingRun run("sac", "Pendulum-v1",
                  {{"num_envs", "1"}, {"batch_size", "64"}, {"hidden", "32,32"}, {"eval_episodes", "50"}});
  EXPECT_LT(greedy_return(run), -800.0);
  run.run_to(10'000);
  EXPECT_GT(greedy_return(run), -300.0);
}

TEST(Learning, DiscreteSoftActorCriticBalancesCartPole) {
  TrainingRun run("sac_discrete", "CartPole-v1",
                  {{"num_envs", "8"},
                   {"batch_size", "64"},
                   {"hidden", "32,32"},
                   {"gradient_steps", "8"},
                   {"n_step", "3"},
                   {"target_tau", "0.01"},
                   {"target_entropy_scale", "0.3"}});
  run.run_to(20'000);
  EXPECT_GT(greedy_return(run), 120.0);
}

}  // namespace
}  // namespace stampede
