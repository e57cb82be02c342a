// SPDX-License-Identifier: Apache-2.0
// Algorithms reach a stated return on small environments in seconds, with fixed seeds and a greedy final policy.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/training_run.h"
#include "train/session.h"

namespace stampede {
namespace {

// Mean greedy return of 100 episodes after `rows` rows.
double return_after(const std::string& algorithm, const std::string& env, std::int64_t rows, Keys keys) {
  keys.emplace_back("eval_episodes", "100");
  TrainingRun run(algorithm, env, keys);
  run.run_to(rows);
  EXPECT_FALSE(run.trainer().read_metrics().failed);
  const EvaluationResult result = run.trainer().evaluate(evaluation_seed(77, 0), EvaluationMode::kGreedy);
  EXPECT_EQ(result.episodes, 100);
  return result.return_mean;
}

TEST(Learning, PpoBalancesCartPole) {
  const Keys keys{
      {"num_envs", "8"},           {"rollout_steps", "32"},      {"epochs", "20"},   {"minibatches", "1"},
      {"gamma", "0.98"},           {"gae_lambda", "0.8"},        {"clip", "0.2"},    {"learning_rate", "0.001"},
      {"schedule_steps", "60000"}, {"learning_rate_final", "0"}, {"clip_final", "0"}};
  for (const char* seed : {"1", "2"}) {
    Keys seeded = keys;
    seeded.emplace_back("seed", seed);
    EXPECT_LT(return_after("ppo", "CartPole-v1", 256, seeded), 120.0) << "untrained policies already balance";
    EXPECT_GE(return_after("ppo", "CartPole-v1", 60'000, seeded), 400.0) << "seed " << seed;
  }
}

// 128 optimiser steps in all: rollouts of many environments, every row used once.
TEST(Learning, PpoBalancesCartPoleInFewIterationsOfManyEnvironments) {
  const Keys keys{{"num_envs", "1024"},
                  {"rollout_steps", "64"},
                  {"epochs", "1"},
                  {"minibatches", "16"},
                  {"gamma", "0.99"},
                  {"gae_lambda", "0.98"},
                  {"learning_rate", "0.01"},
                  {"normalize_rewards", "true"},
                  {"learning_rate_final", "0.1"},
                  {"schedule_steps", "1000000"}};
  EXPECT_GE(return_after("ppo", "CartPole-v1", 8 * 65'536, keys), 400.0);
}

TEST(Learning, PpoSwingsThePendulumUp) {
  const Keys keys{{"num_envs", "8"},
                  {"rollout_steps", "128"},
                  {"epochs", "10"},
                  {"minibatches", "16"},
                  {"gamma", "0.9"},
                  {"gae_lambda", "0.95"},
                  {"learning_rate", "0.001"},
                  {"learning_rate_final", "0.1"},
                  {"schedule_steps", "100000"},
                  {"total_steps", "100000"}};
  EXPECT_LT(return_after("ppo", "Pendulum-v1", 1024, keys), -700.0);
  EXPECT_GT(return_after("ppo", "Pendulum-v1", 100'000, keys), -400.0);
  Keys state_noise = keys;
  state_noise.insert(state_noise.end(), {{"sde", "true"}, {"sde_interval", "8"}, {"seed", "1001"}});
  EXPECT_GT(return_after("ppo", "Pendulum-v1", 100'000, state_noise), -400.0);
}

TEST(Learning, A2cBalancesCartPole) {
  const Keys keys{{"num_envs", "8"}, {"rollout_steps", "5"}, {"learning_rate", "0.002"}};
  EXPECT_LT(return_after("a2c", "CartPole-v1", 400, keys), 120.0);
  EXPECT_GE(return_after("a2c", "CartPole-v1", 200'000, keys), 400.0);
}

// One temporal difference at a time.
TEST(Learning, ActorCriticBalancesCartPole) {
  const Keys keys{{"num_envs", "16"},          {"rollout_steps", "1"},     {"gae_lambda", "0"},
                  {"optimizer", "adam"},       {"learning_rate", "0.001"}, {"schedule_steps", "200000"},
                  {"learning_rate_final", "0"}};
  EXPECT_GE(return_after("actor_critic", "CartPole-v1", 200'000, keys), 400.0);
}

TEST(Learning, ReinforceBalancesCartPole) {
  const Keys keys{
      {"num_envs", "8"}, {"learning_rate", "0.005"}, {"learning_rate_final", "0"}, {"schedule_steps", "300000"}};
  EXPECT_LT(return_after("reinforce", "CartPole-v1", 4096, keys), 120.0);
  EXPECT_GE(return_after("reinforce", "CartPole-v1", 300'000, keys), 400.0);
}

TEST(Learning, EveryContinuousDistributionSwingsThePendulumUp) {
  for (const char* distribution : {"state_gaussian", "squashed_gaussian", "beta", "multi_categorical"}) {
    const Keys keys{{"num_envs", "16"},
                    {"rollout_steps", "128"},
                    {"epochs", "10"},
                    {"minibatches", "32"},
                    {"gamma", "0.95"},
                    {"learning_rate", "0.001"},
                    {"activation", "relu"},
                    {"normalize_rewards", "true"},
                    {"distribution", distribution},
                    {"schedule_steps", "80000"},
                    {"learning_rate_final", "0.1"}};
    EXPECT_GT(return_after("ppo", "Pendulum-v1", 80'000, keys), -600.0) << distribution;
  }
}

TEST(Learning, PpoWithAKlPenaltyBalancesCartPole) {
  const Keys keys{{"num_envs", "8"},           {"rollout_steps", "32"},    {"epochs", "10"},
                  {"minibatches", "1"},        {"gamma", "0.98"},          {"gae_lambda", "0.8"},
                  {"objective", "kl"},         {"learning_rate", "0.002"}, {"schedule_steps", "60000"},
                  {"learning_rate_final", "0"}};
  EXPECT_GE(return_after("ppo_kl", "CartPole-v1", 60'000, keys), 400.0);
}

TEST(Learning, TrpoBalancesCartPole) {
  const Keys keys{{"num_envs", "2"}, {"rollout_steps", "512"}, {"gae_lambda", "0.98"}, {"cg_damping", "0.01"}};
  for (const char* seed : {"1", "2"}) {
    Keys seeded = keys;
    seeded.emplace_back("seed", seed);
    EXPECT_LT(return_after("trpo", "CartPole-v1", 1024, seeded), 400.0) << "untrained policies already balance";
    EXPECT_GE(return_after("trpo", "CartPole-v1", 40'000, seeded), 450.0) << "seed " << seed;
  }
}

TEST(Learning, TrpoSwingsThePendulumUp) {
  const Keys keys{{"num_envs", "4"}, {"rollout_steps", "512"}, {"gamma", "0.9"}, {"cg_damping", "0.01"}};
  EXPECT_LT(return_after("trpo", "Pendulum-v1", 2048, keys), -700.0);
  EXPECT_GT(return_after("trpo", "Pendulum-v1", 100'000, keys), -400.0);
}

// Deep Q-learning on CartPole is bimodal from seed to seed, so the mean of three is asked for; random play returns 22.
TEST(Learning, DqnBalancesCartPole) {
  double sum = 0.0;
  for (const char* seed : {"1", "2", "3"}) {
    sum += return_after("dqn", "CartPole-v1", 50'000,
                        {{"seed", seed},
                         {"num_envs", "8"},
                         {"buffer_size", "50000"},
                         {"batch_size", "64"},
                         {"learning_starts", "1000"},
                         {"gradient_steps", "4"},
                         {"target_interval", "200"},
                         {"learning_rate", "0.001"},
                         {"learning_rate_final", "0.1"},
                         {"epsilon_fraction", "0.2"},
                         {"schedule_steps", "50000"}});
  }
  EXPECT_GE(sum / 3, 100.0);
}

TEST(Learning, DqnFindsTheWayThroughGridWorld) {
  const Keys keys{{"num_envs", "4"},           {"buffer_size", "5000"},     {"batch_size", "32"},
                  {"learning_starts", "500"},  {"target_interval", "50"},   {"learning_rate", "0.001"},
                  {"epsilon_fraction", "0.5"}, {"schedule_steps", "16000"}, {"hidden", "32"}};
  EXPECT_LT(return_after("dqn", "GridWorld-v0", 400, keys), 1.0);
  EXPECT_EQ(return_after("dqn", "GridWorld-v0", 16'000, keys), 1.0);
}

TEST(Learning, PpoCrossesTheFrozenLake) {
  const Keys keys{
      {"num_envs", "32"}, {"rollout_steps", "64"}, {"learning_rate", "0.003"},   {"entropy_coef", "0.01"},
      {"hidden", "16"},   {"gamma", "0.99"},       {"schedule_steps", "200000"}, {"env.is_slippery", "false"}};
  EXPECT_EQ(return_after("ppo", "FrozenLake-v1", 80'000, keys), 1.0);
}

// One worker, so that the run is the same every time.
TEST(Learning, AsynchronousAdvantageActorCriticBalancesCartPole) {
  const Keys keys{{"workers", "1"},
                  {"num_envs", "2"},
                  {"rollout_steps", "20"},
                  {"learning_rate", "0.002"},
                  {"learning_rate_final", "0"},
                  {"schedule_steps", "100000"}};
  for (const char* seed : {"1", "2"}) {
    Keys seeded = keys;
    seeded.emplace_back("seed", seed);
    EXPECT_LT(return_after("a3c", "CartPole-v1", 1000, seeded), 120.0) << "untrained policies already balance";
    EXPECT_GE(return_after("a3c", "CartPole-v1", 100'000, seeded), 400.0) << "seed " << seed;
  }
}

TEST(Learning, AsynchronousQLearningBalancesCartPole) {
  const Keys keys{{"workers", "1"},
                  {"num_envs", "8"},
                  {"rollout_steps", "5"},
                  {"n_step", "0"},
                  {"learning_rate", "0.002"},
                  {"learning_rate_final", "0.3"},
                  {"optimizer_epsilon", "0.01"},
                  {"schedule_steps", "150000"}};
  double sum = 0.0;
  for (const char* seed : {"1", "2", "3"}) {
    Keys seeded = keys;
    seeded.emplace_back("seed", seed);
    sum += return_after("async_q", "CartPole-v1", 150'000, seeded);
  }
  EXPECT_GE(sum / 3, 250.0);
}

TEST(Learning, ParallelQLearningAndSarsaBalanceCartPole) {
  const Keys keys{{"num_envs", "32"},          {"rollout_steps", "8"},          {"epochs", "4"},
                  {"learning_rate", "0.002"},  {"learning_rate_final", "0.01"}, {"epsilon_fraction", "0.4"},
                  {"schedule_steps", "100000"}};
  for (const char* target : {"q", "sarsa", "expected_sarsa"}) {
    Keys more = keys;
    more.emplace_back("target", target);
    EXPECT_LT(return_after("pqn", "CartPole-v1", 256, more), 120.0) << "untrained policies already balance";
    EXPECT_GE(return_after("pqn", "CartPole-v1", 100'000, more), 300.0) << target;
  }
}

}  // namespace
}  // namespace stampede
