// SPDX-License-Identifier: Apache-2.0
// The plain policy gradient: its expectation on a bandit, baselines, Monte Carlo returns, and A2C on rollouts.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "agents/policy_gradient_steps.h"
#include "tests/unit/ring_rows.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

// Sum over both actions of probability times the row's gradient: what updates are on average.
std::vector<double> expected_gradient(const std::vector<float>& logits, const std::vector<float>& advantages) {
  const float normalizer = log_sum_exp(logits.data(), 2);
  std::vector<double> sum(2);
  for (int a = 0; a < 2; ++a) {
    float d_logits[2], metrics[PolicyRowMetrics::kSize];
    const PolicySample sample{logits[static_cast<std::size_t>(a)] - normalizer, 0.0f,
                              advantages[static_cast<std::size_t>(a)], 0.0f};
    categorical_policy_gradient(PolicyGradientLoss{}, sample, logits.data(), 2, a, 1.0f, d_logits, metrics);
    const double p = std::exp(static_cast<double>(sample.old_log_prob));
    for (std::size_t j = 0; j < 2; ++j) sum[j] += p * static_cast<double>(d_logits[j]);
  }
  return sum;
}

TEST(PolicyGradientLoss, TwoArmedBanditHasTheAnalyticGradient) {
  for (const float difference : {-1.5f, 0.0f, 0.7f}) {
    const double p = 1.0 / (1.0 + std::exp(-static_cast<double>(difference)));
    for (const auto& [first, second] : {std::pair{0.0f, 1.0f}, std::pair{3.0f, -2.0f}}) {
      const std::vector<double> gradient = expected_gradient({0.0f, difference}, {first, second});
      const double expected = -p * (1.0 - p) * (second - first);  // of the loss, which is minus the return
      EXPECT_NEAR(gradient[1], expected, 1e-6);
      EXPECT_NEAR(gradient[0], -expected, 1e-6);
    }
  }
}

TEST(PolicyGradientLoss, AConstantAdvantageHasNoExpectedGradient) {
  for (const double d : expected_gradient({0.3f, -0.8f}, {2.5f, 2.5f})) EXPECT_NEAR(d, 0.0, 1e-6);
}

TEST(PolicyGradientLoss, TheValueErrorIsTheWholeOfTheCriticsGradient) {
  float metrics[PolicyRowMetrics::kSize];
  const PolicySample sample{-0.7f, 9.0f, 5.0f, 2.0f};
  EXPECT_FLOAT_EQ(value_gradient(PolicyGradientLoss{}, sample, 3.5f, metrics), 1.5f);
  EXPECT_FLOAT_EQ(metrics[PolicyRowMetrics::kValueLoss], 1.125f);
}

// Rewards 1, 2, ... in one column; episodes end at the third row (terminated) and the sixth (truncated), the last two
// rows belong to an episode that is still open.
class EpisodeReturns : public testing::Test {
 protected:
  static constexpr int kRows = 8;
  static constexpr float kGamma = 0.5f;

  EpisodeReturns() : hand_({1, kRows, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), 4}), arena_(Device{}) {
    RolloutBatch::take_fields(action_, kRows, arena_);
    arena_.allocate("test");
    batch_ = RolloutBatch::take_fields(action_, kRows, arena_);
    hand_.write_column(0, {{1, kValid, 10},
                           {2, kValid, 20},
                           {3, kValid | kTerminated, 30},
                           {0, 0, 40},
                           {5, kValid, 50},
                           {6, kValid | kTruncated, 60},
                           {0, 0, 70},
                           {8, kValid, 80}});
  }
  void compute(bool learned_baseline) {
    copy_rollout(Stream::cpu(), hand_.view(), action_, batch_);
    compute_episode_returns(Stream::cpu(), hand_.view(), kGamma, nullptr, learned_baseline, batch_);
  }
  static std::vector<float> values(const float* data) { return {data, data + kRows}; }

  Space action_ = Space::discrete(2);
  HandRing hand_;
  Arena arena_;
  RolloutBatch batch_;
};

TEST_F(EpisodeReturns, AreRewardsToGoOfEpisodesThatEnded) {
  compute(false);
  EXPECT_EQ(values(batch_.target), (std::vector<float>{2.75f, 3.5f, 3, 0, 8, 6, 0, 0}));
  EXPECT_EQ(values(batch_.advantage), values(batch_.target));
  EXPECT_EQ(std::vector<int>(batch_.valid, batch_.valid + kRows), (std::vector<int>{1, 1, 1, 0, 1, 1, 0, 0}));
}

// The truncated episode goes on with the value of its last observation, 70; the terminated one does not.
TEST_F(EpisodeReturns, ALearnedBaselineIsSubtractedAndBootstrapsTruncations) {
  compute(true);
  EXPECT_EQ(values(batch_.target), (std::vector<float>{2.75f, 3.5f, 3, 0, 25.5f, 41, 0, 0}));
  EXPECT_EQ(values(batch_.advantage), (std::vector<float>{-7.25f, -16.5f, -27, 0, -24.5f, -19, 0, 0}));
}

TEST_F(EpisodeReturns, ATruncationInTheLastRowIsWorthTheHead) {
  hand_.write_column(0, {{1, kValid, 10},
                         {1, kValid, 10},
                         {1, kValid, 10},
                         {1, kValid, 10},
                         {1, kValid, 10},
                         {1, kValid, 10},
                         {1, kValid, 10},
                         {8, kValid | kTruncated, 80}});
  hand_.extra(kRows, 0)[RolloutExtra::kValue] = 6;
  compute(true);
  EXPECT_EQ(batch_.target[kRows - 1], 11.0f);
  EXPECT_EQ(batch_.target[kRows - 2], 6.5f);
}

double metric(TrainingRun& run, const std::string& name) {
  for (const auto& [key, value] : run.trainer().read_metrics().values) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no metric " << name;
  return NAN;
}

// Every return is the same, so what the mean baseline leaves is nothing: not a bit of the network may move.
TEST(Reinforce, AMeanBaselineTakesAConstantRewardAway) {
  for (const auto& [baseline, moves] : {std::pair{"mean", false}, std::pair{"none", true}}) {
    TrainingRun run("reinforce", "Bandit-v0",
                    {{"num_envs", "33"},
                     {"rollout_steps", "9"},
                     {"baseline", baseline},
                     {"normalize_returns", "false"},
                     {"optimizer", "sgd"},
                     {"hidden", "16"},
                     {"env.first", "1"},
                     {"env.second", "1"}});
    const std::vector<float> before = run.parameters();
    run.iterate(3);
    EXPECT_EQ(run.parameters() != before, moves) << baseline;
  }
}

TEST(Reinforce, ARolloutWithoutACompleteEpisodeChangesNothing) {
  TrainingRun run("reinforce", "CartPole-v1",
                  {{"num_envs", "5"}, {"rollout_steps", "3"}, {"optimizer", "sgd"}, {"hidden", "16"}});
  const std::vector<float> before = run.parameters();
  run.iterate(1);
  EXPECT_EQ(run.parameters(), before);
  EXPECT_FALSE(run.trainer().read_metrics().failed);
}

TEST(A2c, TheFirstStepIsOnPolicy) {
  for (const char* env : {"CartPole-v1", "Pendulum-v1", "FrozenLake-v1"}) {
    TrainingRun run("a2c", env, {{"num_envs", "33"}, {"rollout_steps", "7"}, {"normalize_observations", "true"}});
    for (int iteration = 0; iteration < 3; ++iteration) {
      run.iterate(1);
      const TrainerMetrics metrics = run.trainer().read_metrics();
      for (const auto& [name, value] : metrics.values) {
        if (name == "losses/approx_kl" || name == "losses/clipfrac") {
          EXPECT_EQ(value, 0.0) << env << name;
        }
        if (name == "losses/gradient_norm") {
          EXPECT_GT(value, 0.0) << env;
        }
      }
    }
  }
}

// approx_kl looks at the policy that collected; what the step did to it shows only afterwards. Looking changes nothing.
TEST(A2c, TheDivergenceSinceTheRolloutIsSeen) {
  for (const char* env : {"CartPole-v1", "Pendulum-v1", "FrozenLake-v1"}) {
    const auto run_with = [&](const char* rate) {
      return TrainingRun("a2c", env, {{"num_envs", "33"}, {"rollout_steps", "7"}, {"learning_rate", rate}});
    };
    TrainingRun still = run_with("0"), moving = run_with("0.003"), unseen = run_with("0.003");
    for (TrainingRun* run : {&still, &moving, &unseen}) run->iterate(2);
    EXPECT_EQ(metric(still, "losses/policy_kl"), 0.0) << env;
    EXPECT_EQ(metric(still, "losses/policy_clipfrac"), 0.0) << env;
    const double divergence = metric(moving, "losses/policy_kl");
    EXPECT_GT(divergence, 0.0) << env;
    EXPECT_LT(divergence, 1.0) << env;
    moving.iterate(1);
    unseen.iterate(1);
    EXPECT_EQ(differing_entries(moving.state(), unseen.state()), std::vector<std::string>{}) << env;
  }
}

TEST(PpoKl, ClipsValuesWhenAsked) {
  const auto parameters = [](const char* clip_value) {
    TrainingRun run("ppo_kl", "CartPole-v1",
                    {{"num_envs", "8"},
                     {"hidden", "16"},
                     {"objective", "kl"},
                     {"learning_rate", "0.01"},
                     {"clip_value", clip_value}});
    run.iterate(2);
    return run.parameters();
  };
  EXPECT_NE(parameters("true"), parameters("false"));
}

// Parts of the gradient are orthogonal: their squares add up to the whole.
TEST(A2c, GradientNormsOfPartsMakeUpTheWhole) {
  for (const char* shared : {"false", "true"}) {
    for (const char* env : {"CartPole-v1", "Pendulum-v1"}) {
      TrainingRun run("a2c", env, {{"num_envs", "33"}, {"shared_torso", shared}, {"hidden", "16"}});
      run.iterate(2);
      const TrainerMetrics metrics = run.trainer().read_metrics();
      const auto value = [&](const std::string& part) {
        for (const auto& [name, v] : metrics.values) {
          if (name == "losses/gradient_norm" + part) return v;
        }
        return -1.0;
      };
      const double actor = value("_actor"), critic = value("_critic"), torso = value("_torso");
      EXPECT_GT(actor, 0.0);
      EXPECT_GT(critic, 0.0);
      EXPECT_EQ(torso > 0.0, std::string(shared) == "true");
      EXPECT_NEAR(std::sqrt(actor * actor + critic * critic + torso * torso), value(""), 1e-4 * value(""));
    }
  }
}

// A second epoch is off-policy: V-trace sees it, and the first epoch's ratio stays 1.
TEST(A2c, LaterEpochsAreCorrectedByVtrace) {
  const Keys keys{{"num_envs", "33"}, {"rollout_steps", "7"}, {"hidden", "16"}, {"learning_rate", "0.01"}};
  const auto parameters_with = [&](const char* epochs, const char* advantage) {
    Keys all = keys;
    all.insert(all.end(), {{"epochs", epochs}, {"advantage", advantage}});
    TrainingRun run("a2c", "CartPole-v1", all);
    run.iterate(2);
    EXPECT_EQ(run.trainer().updates(), 2 * std::stoi(epochs));
    return run.parameters();
  };
  EXPECT_EQ(parameters_with("1", "gae"), parameters_with("1", "vtrace"));
  EXPECT_NE(parameters_with("3", "gae"), parameters_with("3", "vtrace"));
}

// While the policy stands still V-trace estimates what the first epoch did, entropies inside the return included.
TEST(A2c, VtraceOfAnUnmovedPolicyChangesNoTarget) {
  const auto extra_after = [](const char* epochs) {
    TrainingRun run("a2c", "CartPole-v1",
                    {{"num_envs", "9"},
                     {"rollout_steps", "17"},
                     {"hidden", "16"},
                     {"learning_rate", "0"},
                     {"advantage", "vtrace"},
                     {"gae_lambda", "0.9"},
                     {"temperature", "0.3"},
                     {"epochs", epochs}});
    run.iterate(1);
    const StateBlock block = run.block("ring.extra");
    const auto* const data = static_cast<const float*>(block.data);
    return std::vector<float>(data, data + block.shape[0]);
  };
  const std::vector<float> once = extra_after("1"), twice = extra_after("2");
  ASSERT_EQ(once.size(), twice.size());
  for (std::size_t k = 0; k < once.size(); ++k) ASSERT_NEAR(twice[k], once[k], 1e-4f) << k;
}

// With an entropy inside the return the best policy is softmax(reward / temperature).
TEST(SoftPolicyGradient, ReachesTheSoftmaxOfRewards) {
  TrainingRun run("soft_pg", "Bandit-v0",
                  {{"num_envs", "256"},
                   {"rollout_steps", "4"},
                   {"temperature", "0.5"},
                   {"optimizer", "adam"},
                   {"learning_rate", "0.02"},
                   {"learning_rate_final", "0"},
                   {"schedule_steps", "400000"},
                   {"total_steps", "400000"},
                   {"hidden", "16"}});
  run.run_to(400'000);
  const std::vector<float> outputs = run.outputs_of_classes(1);
  const auto at = static_cast<std::size_t>(run.output_column("policy"));
  EXPECT_NEAR(outputs[at + 1] - outputs[at], 1.0 / 0.5, 0.1);
  // The soft value: temperature times the log of the sum of exp(reward / temperature).
  const double value = 0.5 * std::log(1.0 + std::exp(2.0));
  EXPECT_NEAR(outputs[static_cast<std::size_t>(run.output_column("value"))], value, 0.05);
}

TEST(PpoKl, TheWeightFollowsTheDivergence) {
  const auto weight_after = [](const char* target) {
    TrainingRun run("ppo_kl", "CartPole-v1",
                    {{"num_envs", "33"}, {"rollout_steps", "16"}, {"objective", "kl"}, {"kl_target", target}});
    run.iterate(3);
    return metric(run, "charts/kl_coef");
  };
  EXPECT_EQ(weight_after("100"), 0.125) << "far below the target the weight halves";
  EXPECT_EQ(weight_after("1e-9"), 8.0) << "far above it the weight doubles";
}

}  // namespace
}  // namespace stampede
