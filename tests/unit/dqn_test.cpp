// SPDX-License-Identifier: Apache-2.0
// DQN's actions, targets, losses and target network.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "agents/dqn.h"
#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/optimizer.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

TEST(DqnTarget, IsTheRewardExactlyAfterATermination) {
  const std::vector<float> q{1e30f, -5.0f, 3.0f};
  for (const float reward : {0.1f, -1.0f, 1e-20f}) {
    EXPECT_EQ(q_learning_target(q.data(), 3, reward, 0.0f), reward);
  }
}

TEST(DqnTarget, TakesTheLargestTargetValue) {
  const std::vector<float> q{1.0f, -5.0f, 3.0f, 100.0f};
  EXPECT_FLOAT_EQ(q_learning_target(q.data(), 3, 0.5f, 0.9f), 0.5f + 2.7f);
}

struct Td {
  float loss, gradient;
};
Td td(TdLoss kind, float q, float target) {
  float metrics[DqnRowMetrics::kSize] = {};
  const float gradient = td_gradient(kind, q, target, metrics);
  EXPECT_EQ(metrics[DqnRowMetrics::kQ], q);
  EXPECT_EQ(metrics[DqnRowMetrics::kTarget], target);
  EXPECT_EQ(metrics[DqnRowMetrics::kAbsoluteError], std::abs(q - target));
  return {metrics[DqnRowMetrics::kLoss], gradient};
}

TEST(DqnLoss, HuberIsSquaredNearZeroAndLinearBeyondOne) {
  EXPECT_FLOAT_EQ(td(TdLoss::kHuber, 1.5f, 1.0f).loss, 0.125f);
  EXPECT_FLOAT_EQ(td(TdLoss::kHuber, 1.5f, 1.0f).gradient, 0.5f);
  EXPECT_FLOAT_EQ(td(TdLoss::kHuber, 4.0f, 1.0f).loss, 2.5f);
  EXPECT_FLOAT_EQ(td(TdLoss::kHuber, 4.0f, 1.0f).gradient, 1.0f);
  EXPECT_FLOAT_EQ(td(TdLoss::kHuber, -4.0f, 1.0f).gradient, -1.0f);
  EXPECT_FLOAT_EQ(td(TdLoss::kHuber, 2.0f, 1.0f).loss, 0.5f);
}

TEST(DqnLoss, SquaredHasTheErrorAsGradient) {
  EXPECT_FLOAT_EQ(td(TdLoss::kSquared, 4.0f, 1.0f).loss, 4.5f);
  EXPECT_FLOAT_EQ(td(TdLoss::kSquared, 4.0f, 1.0f).gradient, 3.0f);
}

// The gradient reaches the action that was taken and nothing else.
TEST(DqnLoss, TouchesTheTakenActionOnly) {
  std::vector<std::int32_t> actions{2, 0, 1};
  std::vector<float> rewards{1, 2, 3}, discounts{0.0f, 0.5f, 0.0f};
  std::vector<float> outputs(48, 0.5f), target_outputs(48, 1.0f), d_outputs(48, 9.0f),
      metrics(3 * DqnRowMetrics::kSize);
  dqn_tile_loss(Stream::cpu(),
                {.heads = {.actions = 3, .support = {.atoms = 1}}, .td = TdLoss::kSquared, .weight = 0.25f},
                {.actions = actions.data(),
                 .rewards = rewards.data(),
                 .discounts = discounts.data(),
                 .outputs = outputs.data(),
                 .target_outputs = target_outputs.data(),
                 .output_stride = 16,
                 .rows = 3,
                 .next_q = target_outputs.data(),
                 .next_stride = 16,
                 .importance = nullptr,
                 .d_outputs = d_outputs.data(),
                 .metrics = metrics.data(),
                 .priorities = nullptr});
  const std::vector<float> expected{0.25f * (0.5f - 1.0f), 0.25f * (0.5f - 2.5f), 0.25f * (0.5f - 3.0f)};
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t j = 0; j < 16; ++j) {
      const bool taken = static_cast<std::int32_t>(j) == actions[r];
      EXPECT_FLOAT_EQ(d_outputs[r * 16 + j], taken ? expected[r] : 0.0f) << r << ' ' << j;
    }
  }
}

TEST(EpsilonGreedy, GreedyActionKeepsItsShareOfTheRandomOnes) {
  constexpr int kRows = 40'000, kActions = 5;
  const RecordLayout record = RecordLayout::for_action_size(1);
  std::vector<float> outputs(static_cast<std::size_t>(kRows) * 16, 0.0f);
  for (std::size_t r = 0; r < kRows; ++r) outputs[r * 16 + 3] = 1.0f;
  std::vector<std::uint32_t> records(static_cast<std::size_t>(kRows) * 4);
  for (const double epsilon : {0.0, 0.05, 0.3, 1.0}) {
    choose_epsilon_greedy(Stream::cpu(), {outputs.data(), 16, kActions, records.data(), record, 0, kRows},
                          {1, 2, Purpose::kExploration}, static_cast<float>(epsilon));
    std::map<std::uint32_t, int> counts;
    for (std::size_t r = 0; r < kRows; ++r) ++counts[records[r * 4]];
    for (std::uint32_t action = 0; action < kActions; ++action) {
      const double p = epsilon / kActions + (action == 3 ? 1.0 - epsilon : 0.0);
      EXPECT_NEAR(counts[action] / static_cast<double>(kRows), p, 4.0 * std::sqrt(p * (1 - p) / kRows)) << epsilon;
    }
  }
}

TEST(TargetNetwork, PolyakMovesByTau) {
  const Buffer<float> online(Device{}, 16), target(Device{}, 16);
  std::fill_n(online.data(), 16, 1.0f);
  polyak_update(Stream::cpu(), online.data(), target.data(), 16, 0.005f);
  EXPECT_NEAR(target.data()[15], 0.005, 1e-9);
  polyak_update(Stream::cpu(), online.data(), target.data(), 16, 0.005f);
  EXPECT_NEAR(target.data()[15], 0.009975, 1e-9);
  polyak_update(Stream::cpu(), online.data(), target.data(), 16, 1.0f);
  EXPECT_EQ(target.data()[15], 1.0f);
}

Keys small_keys() {
  return {{"num_envs", "3"},         {"buffer_size", "300"}, {"batch_size", "33"},
          {"learning_starts", "30"}, {"hidden", "16"},       {"epsilon_fraction", "1"}};
}

Keys with(Keys keys, const Keys& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

TEST(TargetNetwork, IsACopyThatChangesEveryIntervalOnly) {
  TrainingRun run("dqn", "CartPole-v1", with(small_keys(), {{"target_interval", "3"}}));
  std::vector<float> target = run.parameters("target.parameters");
  EXPECT_EQ(target, run.parameters());
  int copies = 0;
  for (int k = 0; k < 60; ++k) {
    const std::int64_t before = run.trainer().updates();
    run.iterate(1);
    const std::vector<float> now = run.parameters("target.parameters"), online = run.parameters();
    const std::int64_t updates = run.trainer().updates();
    ASSERT_LE(updates, before + 1);
    if (updates > before && updates % 3 == 0) {
      ASSERT_EQ(now, online) << updates;
      ++copies;
    } else {
      ASSERT_EQ(now, target) << "the online network's update reached the target";
      ASSERT_TRUE(updates == before || now != online);
    }
    target = now;
  }
  EXPECT_EQ(copies, run.trainer().updates() / 3);
  EXPECT_GT(copies, 10);
}

TEST(TargetNetwork, AveragesWithTauBelowOne) {
  TrainingRun run("dqn", "CartPole-v1", with(small_keys(), {{"target_interval", "1"}, {"target_tau", "0.1"}}));
  run.iterate(20);
  const std::vector<float> before = run.parameters("target.parameters");
  run.iterate(1);
  const std::vector<float> after = run.parameters("target.parameters"), online = run.parameters();
  for (std::size_t k = 0; k < before.size(); ++k) {
    ASSERT_NEAR(after[k], before[k] + 0.1f * (online[k] - before[k]), 1e-6f);
  }
}

TEST(DqnTrainer, CountsUpdatesByRatio) {
  TrainingRun run("dqn", "CartPole-v1", with(small_keys(), {{"train_interval", "4"}, {"gradient_steps", "7"}}));
  run.iterate(2);
  EXPECT_EQ(run.trainer().rows(), 24);
  EXPECT_EQ(run.trainer().updates(), 0);
  run.iterate(3);
  EXPECT_EQ(run.trainer().rows(), 60);
  EXPECT_EQ(run.trainer().updates(), 21);
}

TEST(DqnTrainer, LearnsAsSoonAsTheRowsAreThere) {
  TrainingRun run("dqn", "CartPole-v1", with(small_keys(), {{"num_envs", "1"}, {"learning_starts", "40"}}));
  run.iterate(39);
  EXPECT_EQ(run.trainer().updates(), 0);
  run.iterate(1);
  EXPECT_EQ(run.trainer().updates(), 1);
}

// A network that stands still sees the same observation in every other row: what changes is which units are silent.
TEST(DqnTrainer, DropoutIsNewInEveryRow) {
  TrainingRun run("dqn", "Bandit-v0",
                  {{"num_envs", "3"},
                   {"buffer_size", "600"},
                   {"learning_starts", "0"},
                   {"learning_rate", "0"},
                   {"exploration", "none"},
                   {"dropout", "0.5"},
                   {"hidden", "16"}});
  run.iterate(100);
  const StateBlock records = run.block("ring.records");
  const auto* const words = static_cast<const std::uint32_t*>(records.data);
  int rows_of_second = 0;
  for (std::size_t row = 0; row < 100; row += 2) {
    const std::uint32_t action = words[row * 12];
    for (std::size_t i = 1; i < 3; ++i) ASSERT_EQ(words[row * 12 + 4 * i], action) << "all environments act alike";
    rows_of_second += action == 1;
  }
  EXPECT_GT(rows_of_second, 0);
  EXPECT_LT(rows_of_second, 50);
}

TEST(DqnTrainer, LearnsFromOneRowOfHistoryOnwards) {
  for (const char* n_step : {"1", "3"}) {
    TrainingRun run("dqn", "EpisodeClock-v0",
                    {{"num_envs", "1"},
                     {"buffer_size", "4"},
                     {"batch_size", "3"},
                     {"learning_starts", "0"},
                     {"n_step", n_step},
                     {"hidden", "16"}});
    run.iterate(50);
    EXPECT_FALSE(run.trainer().read_metrics().failed);
    EXPECT_GT(run.trainer().updates(), 40);
  }
}

TEST(DqnTrainer, ANonFiniteRewardKeepsTheLastGoodParameters) {
  TrainingRun run("dqn", "CartPole-v1", small_keys());
  run.iterate(30);
  EXPECT_FALSE(run.trainer().read_metrics().failed);
  const StateBlock records = run.block("ring.records");
  auto* const words = static_cast<std::uint32_t*>(records.data);
  for (std::size_t row = 0; row < records.shape[0] / 4; ++row) {
    words[row * 4 + 1] = float_bits(std::numeric_limits<float>::quiet_NaN());
  }
  const std::vector<float> good = run.parameters();
  run.iterate(3);
  EXPECT_TRUE(run.trainer().read_metrics().failed);
  EXPECT_EQ(run.parameters(), good);
}

TEST(DqnTrainer, RefusesRingsThatAreTooSmall) {
  const auto refusal = [](const Keys& keys) -> std::string {
    try {
      TrainingRun("dqn", "CartPole-v1", keys);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(refusal({{"buffer_size", "64"}, {"batch_size", "65"}}).find("larger than the ring of 64"),
            std::string::npos);
  EXPECT_NE(refusal({{"buffer_size", "24"}, {"batch_size", "4"}, {"n_step", "3"}}).find("n_step 3"), std::string::npos);
  EXPECT_NE(refusal({{"buffer_size", "8"}, {"batch_size", "4"}, {"num_envs", "8"}}).find("fewer than 2"),
            std::string::npos);
  EXPECT_EQ(refusal({{"buffer_size", "64"}, {"batch_size", "64"}}), "accepted");
}

}  // namespace
}  // namespace stampede
