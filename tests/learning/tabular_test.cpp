// SPDX-License-Identifier: Apache-2.0
// Tabular and linear control end to end: returns while learning and exact values of the policies found, against an
// independent simulation of the same settings over many seeds.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "tests/unit/training_run.h"

namespace stampede {
namespace {

struct Outcome {
  double online_mean, online_std;  // over learners, of their last episodes
  EvaluationResult greedy;
};

Outcome outcome_of(const std::string& algorithm, const std::string& target, const std::string& env, Keys keys) {
  keys.insert(keys.end(), {{"target", target}, {"seed", "1001"}, {"epsilon_schedule", "linear"}});
  TrainingRun run(algorithm, env, keys);
  TrainerMetrics metrics;
  for (int k = 0; k < 2000 && !metrics.finished; ++k) {
    run.iterate(16);
    metrics = run.trainer().read_metrics();
  }
  EXPECT_TRUE(metrics.finished);
  EXPECT_FALSE(metrics.failed);
  std::map<std::string, double> values(metrics.values.begin(), metrics.values.end());
  return {values["charts/online_return_mean"], values["charts/online_return_std"],
          run.trainer().evaluate(1, EvaluationMode::kGreedy)};
}

// Three standard errors of both sides; `seeds` stands for the reference.
void expect_online(const Outcome& o, double mean, double deviation, int seeds, int learners) {
  const double error = std::sqrt(deviation * deviation / seeds + o.online_std * o.online_std / learners);
  EXPECT_NEAR(o.online_mean, mean, 3.0 * error);
}

// The three signatures: along the edge, a detour that a few runs never finish greedily, and the row above the edge.
TEST(TabularLearning, CliffWalkingTellsTheMethodsApart) {
  const Keys keys{
      {"num_envs", "500"}, {"gamma", "1"}, {"learning_rate", "0.5"}, {"episodes", "500"}, {"return_window", "100"}};
  const Outcome q = outcome_of("q_learning", "maximum", "CliffWalking-v1", keys);
  expect_online(q, -49.8, 7.1, 500, 500);
  EXPECT_EQ(q.greedy.return_mean, -13.0);
  EXPECT_EQ(q.greedy.return_std, 0.0);
  EXPECT_EQ(q.greedy.episodes, 500);
  const Outcome sarsa = outcome_of("sarsa", "sampled", "CliffWalking-v1", keys);
  expect_online(sarsa, -26.4, 5.0, 500, 500);
  EXPECT_LT(sarsa.greedy.return_mean, -17.0);
  const Outcome expected = outcome_of("expected_sarsa", "expected", "CliffWalking-v1", keys);
  expect_online(expected, -20.8, 1.9, 500, 500);
  EXPECT_EQ(expected.greedy.return_mean, -15.0);
}

TEST(TabularLearning, FrozenLakeWithoutSlipping) {
  const Keys keys{{"num_envs", "100"},  {"gamma", "0.95"},        {"learning_rate", "0.8"},
                  {"episodes", "2000"}, {"return_window", "100"}, {"env.is_slippery", "false"}};
  const Outcome q = outcome_of("q_learning", "maximum", "FrozenLake-v1", keys);
  expect_online(q, 0.892, 0.030, 100, 100);
  EXPECT_NEAR(q.greedy.return_mean, 1.0, 1e-12);
  const Outcome sarsa = outcome_of("sarsa", "sampled", "FrozenLake-v1", keys);
  expect_online(sarsa, 0.828, 0.052, 100, 100);
  EXPECT_NEAR(sarsa.greedy.return_mean, 0.80, 3 * 0.40 * std::sqrt(2.0 / 100));
}

// Falling rates end at the greedy policy of the optimal values, in every seed.
TEST(TabularLearning, SlipperyFrozenLakeIsSolvedExactly) {
  const Keys falling{{"num_envs", "64"},     {"rollout_steps", "1000"}, {"learning_rate_final", "0.01"},
                     {"epsilon_start", "1"}, {"epsilon_end", "0.1"},    {"epsilon_fraction", "1"},
                     {"seed", "1001"},       {"total_steps", "6400000"}};
  TrainingRun run("q_learning", "FrozenLake-v1", falling);
  run.run_to(6'400'000);
  const EvaluationResult r = run.trainer().evaluate(1, EvaluationMode::kGreedy);
  EXPECT_NEAR(r.return_mean, 0.7401648977587, 1e-9);
  EXPECT_NEAR(r.return_std, 0.0, 1e-9);
  EXPECT_NEAR(r.length_mean, 44.5657, 1e-3);
}

// The same policies, played: within sampling error of their exact value.
TEST(TabularLearning, SampledEvaluationAgreesWithTheExactOne) {
  Keys keys{{"num_envs", "64"}, {"rollout_steps", "500"}, {"epsilon_end", "0.5"}, {"eval_episodes", "6400"}};
  EvaluationResult results[2][2];
  for (const int sampled : {0, 1}) {
    keys.emplace_back("evaluation", sampled ? "sampled" : "exact");
    TrainingRun run("q_learning", "FrozenLake-v1", keys);
    run.run_to(1'000'000);
    results[sampled][0] = run.trainer().evaluate(7, EvaluationMode::kGreedy);
    results[sampled][1] = run.trainer().evaluate(7, EvaluationMode::kStochastic);
  }
  for (const int mode : {0, 1}) {
    EXPECT_NEAR(results[0][mode].return_mean, results[1][mode].return_mean, 4.5 * 0.5 / std::sqrt(6400.0)) << mode;
    EXPECT_NEAR(results[0][mode].length_mean, results[1][mode].length_mean, 4.5 * 35 / std::sqrt(6400.0)) << mode;
  }
  EXPECT_GT(results[0][0].return_mean, results[0][1].return_mean);
}

// Optimistic weights explore without epsilon.
TEST(LinearLearning, TilesClimbTheMountain) {
  const Keys keys{{"num_envs", "64"},   {"gamma", "1"},      {"learning_rate", "0.5"}, {"epsilon_start", "0"},
                  {"epsilon_end", "0"}, {"episodes", "500"}, {"return_window", "100"}};
  const Outcome sarsa = outcome_of("linear_sarsa", "sampled", "MountainCar-v0", keys);
  expect_online(sarsa, -117.8, 3.5, 100, 64);
  const Outcome q = outcome_of("linear_q", "maximum", "MountainCar-v0", keys);
  EXPECT_NEAR(q.online_mean, -122.6, 2.5);
  EXPECT_LT(q.online_mean, sarsa.online_mean - 1.0);
}

// Returns of whole episodes, although the ring of other targets holds two rows.
TEST(LinearLearning, MonteCarloReturnsBalanceThePole) {
  TrainingRun run("linear_q", "CartPole-v1",
                  {{"target", "return"},
                   {"num_envs", "16"},
                   {"gamma", "0.99"},
                   {"learning_rate", "0.1"},
                   {"epsilon_start", "0.1"},
                   {"epsilon_end", "0.1"},
                   {"feature_low", "-2.4,-3,-0.21,-3"},
                   {"feature_high", "2.4,3,0.21,3"},
                   {"seed", "1001"}});
  run.run_to(800'000);
  EXPECT_GT(run.trainer().evaluate(1, EvaluationMode::kGreedy).return_mean, 150.0);
}

}  // namespace
}  // namespace stampede
