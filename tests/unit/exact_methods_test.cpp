// SPDX-License-Identifier: Apache-2.0
// Value iteration, soft value iteration and policy evaluation against numbers derived from Gymnasium's tables.
#include <gtest/gtest.h>

#include <cmath>

#include "agents/tabular/policy_evaluation.h"
#include "agents/tabular/value_iteration.h"
#include "kernels/error.h"
#include "train/evaluator.h"
#include "train/transition_model.h"

namespace stampede {
namespace {

struct Case {
  const char* env;
  EnvParameters parameters;
  double gamma, greedy_return;
};

TransitionTable table_of(const char* env, const EnvParameters& parameters = {}) {
  const EnvRegistry registry = builtin_environments();
  return transition_table(registry.find(env), parameters);
}

double greedy_return(const TransitionTable& table, double gamma, int horizon) {
  const Solution solution = value_iteration(table, {.gamma = gamma});
  EXPECT_TRUE(solution.converged);
  return evaluate_policy(table, epsilon_greedy_policy(table, solution.action_values.data(), 0.0), horizon).return_mean;
}

TEST(ValueIteration, GreedyPoliciesHaveTheirKnownReturns) {
  const EnvRegistry registry = builtin_environments();
  const Case cases[] = {
      {"FrozenLake-v1", {}, 0.97, 0.7298},
      {"FrozenLake-v1", {}, 0.98, 0.7402},
      {"FrozenLake-v1", {}, 0.99, 0.7402},
      {"FrozenLake-v1", {{"is_slippery", "false"}}, 0.95, 1.0},
      {"FrozenLake8x8-v1", {}, 0.95, 0.7386},
      {"FrozenLake8x8-v1", {}, 0.995, 0.8936},
      {"FrozenLake8x8-v1", {}, 0.999, 0.8857},
      {"Taxi-v3", {}, 0.99, 7.93},
      {"Taxi-v4", {{"is_rainy", "true"}}, 0.99, 3.9546},
      {"CliffWalking-v1", {}, 1.0, -13.0},
      {"CliffWalkingSlippery-v1", {}, 1.0, -64.7092},
      {"GridWorld-v0", {}, 0.99, 1.0},
  };
  for (const Case& c : cases) {
    const int horizon = evaluation_horizon(registry.find(c.env).spec);
    EXPECT_NEAR(greedy_return(table_of(c.env, c.parameters), c.gamma, horizon), c.greedy_return, 5e-5)
        << c.env << ' ' << c.gamma;
  }
}

TEST(ValueIteration, TimeAwareAndUnlimitedReturns) {
  const TransitionTable small = table_of("FrozenLake-v1"), large = table_of("FrozenLake8x8-v1");
  EXPECT_NEAR(small.start_value(time_aware_values(small, 100)), 0.7442, 5e-5);
  EXPECT_NEAR(large.start_value(time_aware_values(large, 200)), 0.9132, 5e-5);
  EXPECT_NEAR(greedy_return(small, 0.99, 1'000'000), 0.8235, 5e-5);
}

TEST(ValueIteration, SoftValues) {
  const TransitionTable table = table_of("FrozenLake-v1");
  EXPECT_NEAR(value_iteration(table, {.gamma = 0.99}).values[0], 0.5420259, 5e-8);
  const std::pair<double, double> expected[] = {
      {0.001, 0.542271}, {0.003, 0.543378}, {0.01, 0.598924}, {0.1, 2.471032}};
  for (const auto& [alpha, value] : expected) {
    EXPECT_NEAR(value_iteration(table, {.gamma = 0.99, .alpha = alpha}).values[0], value, 5e-7) << alpha;
  }
  const Solution soft = value_iteration(table, {.gamma = 0.99, .alpha = 0.01});
  const std::vector<double> policy = boltzmann_policy(table, soft.action_values.data(), 0.01);
  const double at_start[] = {0.61863, 0.13205, 0.13205, 0.11727};
  for (std::size_t a = 0; a < 4; ++a) EXPECT_NEAR(policy[a], at_start[a], 5e-6) << a;
  // A temperature that pays more for wandering than the goal does.
  const TransitionTable dry = table_of("FrozenLake-v1", {{"is_slippery", "false"}});
  EXPECT_NEAR(value_iteration(dry, {.gamma = 0.99, .alpha = 0.1}).values[0], 11.96, 5e-3);
}

TEST(ValueIteration, RefusesAndStops) {
  const TransitionTable table = table_of("GridWorld-v0", {{"reward", "dense"}});
  EXPECT_THROW(value_iteration(table, {.gamma = 1.1}), UsageError);
  EXPECT_THROW(value_iteration(table, {.gamma = 0.9, .alpha = -1.0}), UsageError);
  EXPECT_FALSE(value_iteration(table, {.gamma = 1.0, .max_sweeps = 1000}).converged) << "it collects for ever";
}

// Two states: 0 loops with probability 1/2 or ends, reward 1 each step; so the length is geometric.
TEST(PolicyEvaluation, FiniteHorizonByHand) {
  TransitionTable table;
  table.states = 1;
  table.actions = 2;
  table.first = {0, 2, 3};
  table.probability = {0.5, 0.5, 1.0};
  table.next_state = {0, 0, 0};
  table.reward = {1.0, 1.0, 3.0};
  table.terminated = {0, 1, 1};
  table.start_probability = {1.0};
  const auto value = [&](std::vector<double> policy, int horizon) { return evaluate_policy(table, policy, horizon); };
  EXPECT_DOUBLE_EQ(value({1.0, 0.0}, 1).return_mean, 1.0);
  EXPECT_DOUBLE_EQ(value({1.0, 0.0}, 3).return_mean, 1.75);
  EXPECT_DOUBLE_EQ(value({1.0, 0.0}, 3).length_mean, 1.75);
  EXPECT_DOUBLE_EQ(value({0.0, 1.0}, 3).return_mean, 3.0);
  EXPECT_DOUBLE_EQ(value({0.5, 0.5}, 2).return_mean, 2.0 + 0.25 * 2.0);
  const double q[] = {2.0, 2.0};
  EXPECT_EQ(epsilon_greedy_policy(table, q, 0.2), (std::vector<double>{0.9, 0.1})) << "the lowest of equals";
}

TEST(PolicyEvaluation, CliffWalkingUnderExploration) {
  const TransitionTable table = table_of("CliffWalking-v1");
  const Solution solution = value_iteration(table, {.gamma = 1.0});
  const std::vector<double> edge = epsilon_greedy_policy(table, solution.action_values.data(), 0.1);
  EXPECT_NEAR(evaluate_policy(table, edge, 10000).return_mean, -45.80, 0.6) << "along the edge, where ties allow it";
}

}  // namespace
}  // namespace stampede
