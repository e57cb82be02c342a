// SPDX-License-Identifier: Apache-2.0
// Values that are known in closed form: a time limit must not look like an end, an end must not be bootstrapped.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/unit/toy_environments.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

constexpr double kGamma = 0.9;

const Keys kPpo{{"num_envs", "16"},       {"rollout_steps", "16"},    {"gamma", "0.9"},
                {"hidden", "16"},         {"learning_rate", "0.01"},  {"epochs", "4"},
                {"minibatches", "2"},     {"max_grad_norm", "10"},    {"learning_rate_final", "0.01"},
                {"total_steps", "60000"}, {"schedule_steps", "60000"}};
const Keys kDqn{{"num_envs", "8"},         {"buffer_size", "4000"},     {"gamma", "0.9"},
                {"hidden", "16"},          {"learning_rate", "0.005"},  {"batch_size", "32"},
                {"target_interval", "20"}, {"learning_starts", "100"},  {"learning_rate_final", "0.01"},
                {"total_steps", "24000"},  {"schedule_steps", "24000"}, {"epsilon_end", "0.5"}};

const Keys kPqn{{"num_envs", "16"},       {"rollout_steps", "8"},     {"gamma", "0.9"},
                {"hidden", "16"},         {"learning_rate", "0.005"}, {"epochs", "4"},
                {"minibatches", "2"},     {"epsilon_end", "0.5"},     {"learning_rate_final", "0.01"},
                {"total_steps", "40000"}, {"schedule_steps", "40000"}};

// Column `head` of the outputs for observations 0 ... count - 1 after training.
std::vector<double> learnt(const std::string& algorithm, const std::string& env, const Keys& keys,
                           const std::string& head, int count) {
  TrainingRun run(algorithm, env, keys);
  run.run_to(run.config().integer("total_steps"));
  EXPECT_FALSE(run.trainer().read_metrics().failed);
  const std::vector<float> outputs = run.outputs_of_classes(ConstantReward::kObservations);
  const std::size_t stride = outputs.size() / ConstantReward::kObservations;
  std::vector<double> values;
  for (int k = 0; k < count; ++k) {
    values.push_back(outputs[static_cast<std::size_t>(k) * stride + static_cast<std::size_t>(run.output_column(head))]);
  }
  return values;
}

// Taking a truncation for an end would give about 4.6 here, ignoring it altogether (bootstrapping from the next
// episode's start) would be right by chance: the value is the same everywhere. The countdown tells these apart.
TEST(TimeLimit, TruncationIsBootstrapped) {
  EXPECT_NEAR(learnt("ppo", "ConstantReward-v0", kPpo, "value", 1)[0], 1.0 / (1.0 - kGamma), 0.3);
  EXPECT_NEAR(learnt("dqn", "ConstantReward-v0", kDqn, "q", 1)[0], 1.0 / (1.0 - kGamma), 0.3);
}

const Keys kPolicyGradient{{"num_envs", "16"},        {"rollout_steps", "16"},      {"gamma", "0.9"},
                           {"hidden", "16"},          {"learning_rate", "0.01"},    {"max_grad_norm", "10"},
                           {"total_steps", "120000"}, {"schedule_steps", "120000"}, {"learning_rate_final", "0.01"}};

// Learns both worlds: where time runs out the value goes on, where the episode ends it does not.
void expect_true_values(const std::string& algorithm, const Keys& keys, const std::string& head) {
  SCOPED_TRACE(algorithm);
  EXPECT_NEAR(learnt(algorithm, "ConstantReward-v0", keys, head, 1)[0], 1.0 / (1.0 - kGamma), 0.4);
  const std::vector<double> values = learnt(algorithm, "CountdownReward-v0", keys, head, 4);
  for (int t = 0; t < 4; ++t) {
    const double expected = (1.0 - std::pow(kGamma, 4 - t)) / (1.0 - kGamma);
    EXPECT_NEAR(values[static_cast<std::size_t>(t)], expected, 0.1) << t;
  }
}

// A2C sees the limit as PPO does, whatever corrects a second epoch; REINFORCE's learned baseline is what its Monte
// Carlo returns go on with.
TEST(TimeLimit, PolicyGradientsBootstrapTruncations) {
  Keys adam = kPolicyGradient;
  adam.emplace_back("optimizer", "adam");
  expect_true_values("reinforce", adam, "value");
  adam.insert(adam.end(), {{"gae_lambda", "0.95"}, {"epochs", "2"}});
  for (const char* advantage : {"gae", "vtrace"}) {
    Keys all = adam;
    all.emplace_back("advantage", advantage);
    expect_true_values("a2c", all, "value");
  }
  Keys kl = kPpo;
  kl.emplace_back("objective", "kl");
  expect_true_values("ppo", kl, "value");
  expect_true_values("trpo", kPolicyGradient, "value");
}

TEST(TimeLimit, AsynchronousWorkersBootstrapTruncations) {
  Keys keys = kPolicyGradient;
  keys.emplace_back("workers", "1");
  expect_true_values("a3c", keys, "value");
  keys.insert(keys.end(), {{"target_interval", "512"}, {"epsilon_ends", "0.5"}, {"epsilon_shares", "1"}});
  for (const char* steps : {"1", "3", "0"}) {
    for (const char* target : {"max", "sarsa"}) {
      SCOPED_TRACE(std::string(steps) + " " + target);
      Keys all = keys;
      all.insert(all.end(), {{"n_step", steps}, {"target", target}});
      expect_true_values("async_q", all, "q");
    }
  }
}

TEST(TimeLimit, TerminationIsNot) {
  for (const bool ppo : {true, false}) {
    const std::vector<double> values =
        ppo ? learnt("ppo", "CountdownReward-v0", kPpo, "value", 4) : learnt("dqn", "CountdownReward-v0", kDqn, "q", 4);
    for (int t = 0; t < 4; ++t) {
      const double expected = (1.0 - std::pow(kGamma, 4 - t)) / (1.0 - kGamma);
      EXPECT_NEAR(values[static_cast<std::size_t>(t)], expected, 0.1) << (ppo ? "ppo " : "dqn ") << t;
    }
  }
}

TEST(TimeLimit, NStepTargetsHaveTheSameValue) {
  Keys keys = kDqn;
  keys.emplace_back("n_step", "3");
  EXPECT_NEAR(learnt("dqn", "ConstantReward-v0", keys, "q", 1)[0], 1.0 / (1.0 - kGamma), 0.3);
  EXPECT_NEAR(learnt("dqn", "CountdownReward-v0", keys, "q", 1)[0], 3.439, 0.1);
}

// A target network that is never updated knows nothing of the future: only the last step's value is right.
TEST(TimeLimit, TargetsComeFromTheTargetNetwork) {
  Keys keys = kDqn;
  keys.emplace_back("target_interval", "1000000000");
  const std::vector<double> values = learnt("dqn", "CountdownReward-v0", keys, "q", 4);
  EXPECT_NEAR(values[3], 1.0, 0.1);
  EXPECT_LT(values[0], 2.0);
}

TEST(TimeLimit, WithoutLambdaTheValueIsTheSame) {
  for (const char* lambda : {"0", "1"}) {
    Keys keys = kPpo;
    keys.emplace_back("gae_lambda", lambda);
    EXPECT_NEAR(learnt("ppo", "ConstantReward-v0", keys, "value", 1)[0], 10.0, 0.4) << lambda;
  }
}

// With every bootstrap, every lambda, with a target network and without: the rewards do not depend on actions.
TEST(TimeLimit, QLambdaReturnsHaveTheSameValue) {
  for (const char* target : {"q", "sarsa", "expected_sarsa"}) {
    for (const char* lambda : {"0", "0.65", "1"}) {
      for (const char* interval : {"0", "8"}) {
        SCOPED_TRACE(std::string(target) + " " + lambda + " " + interval);
        Keys keys = kPqn;
        keys.insert(keys.end(), {{"target", target}, {"q_lambda", lambda}, {"target_interval", interval}});
        EXPECT_NEAR(learnt("pqn", "ConstantReward-v0", keys, "q", 1)[0], 10.0, 0.4);
        const std::vector<double> values = learnt("pqn", "CountdownReward-v0", keys, "q", 4);
        for (int t = 0; t < 4; ++t) {
          const double expected = (1.0 - std::pow(kGamma, 4 - t)) / (1.0 - kGamma);
          EXPECT_NEAR(values[static_cast<std::size_t>(t)], expected, 0.1) << t;
        }
      }
    }
  }
}

}  // namespace
}  // namespace stampede
