// SPDX-License-Identifier: Apache-2.0
// GAE, V-trace and n-step returns on a hand-computed trajectory with a termination, a truncation and a cut end.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/unit/ring_rows.h"

namespace stampede {
namespace {

constexpr float kGamma = 0.9f;
constexpr std::uint32_t kReset = 0;

// Rewards 1 ... 5; terminated after the second step, truncated after the fourth, cut after the fifth. Behind each
// episode's end stands the row of the reset, with the value of the episode's final observation (9.9 must not matter).
const std::vector<HandRow> kTrajectory = {{1, kValid, 0.5f},
                                          {2, kValid | kTerminated, 0.4f},
                                          {0, kReset, 9.9f},
                                          {3, kValid, 0.3f},
                                          {4, kValid | kTruncated, 0.2f},
                                          {0, kReset, 0.7f},
                                          {5, kValid, 0.1f},
                                          {0, kReset, 0.6f}};
constexpr int kRows = 7;

RingShape shape_of(int environments) {
  return {environments, kRows, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), 4};
}

void expect_near(const std::vector<float>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t t = 0; t < values.size(); ++t) EXPECT_NEAR(values[t], expected[t], 2e-6) << t;
}

std::vector<float> advantages(float lambda, const std::vector<HandRow>& rows = kTrajectory) {
  HandRing hand(shape_of(1));
  hand.write_column(0, rows);
  compute_gae(Stream::cpu(), hand.view(), kGamma, lambda, nullptr);
  return hand.column(0, RolloutExtra::kAdvantage);
}

TEST(Gae, HandComputedAdvantages) { expect_near(advantages(0.8f), {2.012, 1.6, 0, 6.0696, 4.43, 0, 5.44}); }

TEST(Gae, LambdaZeroIsTheTemporalDifferenceError) {
  expect_near(advantages(0.0f), {1 + 0.9 * 0.4 - 0.5, 1.6, 0, 3 + 0.9 * 0.2 - 0.3, 4.43, 0, 5.44});
}

TEST(Gae, LambdaOneIsMonteCarloMinusTheValue) {
  expect_near(advantages(1.0f), {1 + 0.9 * 2 - 0.5, 1.6, 0, 3 + 0.9 * (4 + 0.9 * 0.7) - 0.3, 4.43, 0, 5.44});
}

TEST(Gae, BothFlagsAtOnceMeanTermination) {
  std::vector<HandRow> rows = kTrajectory;
  rows[4].flags |= kTerminated;
  expect_near(advantages(0.8f, rows), {2.012, 1.6, 0, 3 + 0.9 * 0.2 - 0.3 + 0.72 * 3.8, 3.8, 0, 5.44});
}

TEST(Gae, ReturnsAreAdvantagePlusValueAndZeroOnResetRows) {
  HandRing hand(shape_of(1));
  hand.write_column(0, kTrajectory);
  compute_gae(Stream::cpu(), hand.view(), kGamma, 0.8f, nullptr);
  expect_near(hand.column(0, RolloutExtra::kReturn), {2.512, 2.0, 0, 6.3696, 4.63, 0, 5.54});
}

TEST(Gae, DiscountedReturnsBootstrapTruncationsOnly) {
  HandRing hand(shape_of(1));
  hand.write_column(0, kTrajectory);
  compute_discounted_returns(Stream::cpu(), hand.view(), kGamma, nullptr);
  expect_near(hand.column(0, RolloutExtra::kReturn), {2.8, 2, 0, 3 + 0.9 * 4.63, 4.63, 0, 5.54});
}

// The trajectory's values as bootstraps.
std::vector<float> q_lambda_returns(float lambda, const std::vector<HandRow>& rows = kTrajectory) {
  RingShape shape = shape_of(1);
  shape.extra_size = QRolloutExtra::kSize;
  HandRing hand(shape);
  hand.write_column(0, rows);
  for (int t = 0; t <= kRows; ++t) {
    hand.extra(t, 0)[QRolloutExtra::kReturn] = -100.0f;
    hand.extra(t, 0)[QRolloutExtra::kBootstrap] = rows[static_cast<std::size_t>(t)].value;
  }
  compute_q_lambda(Stream::cpu(), hand.view(), kGamma, lambda);
  return hand.column(0, QRolloutExtra::kReturn);
}

TEST(QLambda, HandComputedReturns) {
  const double before_end = 1 + 0.9 * (0.2 * 0.4 + 0.8 * 2), truncated = 4 + 0.9 * 0.7;
  expect_near(q_lambda_returns(0.8f), {before_end, 2, 0, 3 + 0.9 * (0.2 * 0.2 + 0.8 * truncated), truncated, 0, 5.54});
  expect_near(q_lambda_returns(0.8f), {2.512, 2, 0, 6.3696, 4.63, 0, 5.54});
}

TEST(QLambda, LambdaZeroIsTheOneStepTarget) { expect_near(q_lambda_returns(0.0f), {1.36, 2, 0, 3.18, 4.63, 0, 5.54}); }

TEST(QLambda, LambdaOneReachesTheEndOfTheEpisodeOrRollout) {
  expect_near(q_lambda_returns(1.0f), {2.8, 2, 0, 7.167, 4.63, 0, 5.54});
}

TEST(QLambda, BothFlagsAtOnceMeanTermination) {
  std::vector<HandRow> rows = kTrajectory;
  rows[4].flags |= kTerminated;
  expect_near(q_lambda_returns(0.8f, rows), {2.512, 2, 0, 3 + 0.9 * (0.2 * 0.2 + 0.8 * 4), 4, 0, 5.54});
}

// What lies behind a termination must not come through, not even as NaN times zero.
TEST(QLambda, NothingLeaksThroughATermination) {
  std::vector<HandRow> rows = kTrajectory;
  rows[2].value = NAN;
  EXPECT_EQ(q_lambda_returns(0.8f, rows)[1], 2.0f);
}

// A lambda-return is generalised advantage plus value (Schulman et al. 2016, section 3).
TEST(QLambda, EqualsAdvantagePlusValue) {
  HandRing hand(shape_of(1));
  hand.write_column(0, kTrajectory);
  for (const float lambda : {0.0f, 0.3f, 0.95f, 1.0f}) {
    compute_gae(Stream::cpu(), hand.view(), kGamma, lambda, nullptr);
    const std::vector<float> returns = hand.column(0, RolloutExtra::kReturn);
    expect_near(q_lambda_returns(lambda), std::vector<double>(returns.begin(), returns.end()));
  }
}

TEST(Gae, RewardScaleMultipliesRewardsAlone) {
  HandRing hand(shape_of(1));
  hand.write_column(0, kTrajectory);
  const float scale = 0.5f;
  compute_gae(Stream::cpu(), hand.view(), kGamma, 0.0f, &scale);
  expect_near(hand.column(0, RolloutExtra::kAdvantage),
              {0.5 + 0.36 - 0.5, 1 - 0.4, 0, 1.5 + 0.18 - 0.3, 2 + 0.63 - 0.2, 0, 2.5 + 0.54 - 0.1});
}

// The entropy of every step taken counts as reward: here log pi = -0.5 everywhere.
TEST(Gae, TemperatureAddsMinusLogProbabilities) {
  HandRing hand(shape_of(1));
  hand.write_column(0, kTrajectory);
  for (int t = 0; t < kRows; ++t) hand.extra(t, 0)[RolloutExtra::kLogProb] = -0.5f;
  compute_gae(Stream::cpu(), hand.view(), kGamma, 1.0f, nullptr, 0.2f);
  const double h = 0.1;
  expect_near(hand.column(0, RolloutExtra::kReturn), {2.8 + 1.9 * h, 2 + h, 0, 7.167 + 1.9 * h, 4.63 + h, 0, 5.54 + h});
}

// Ratios of the trajectory's rows; those of reset rows must not matter.
const std::vector<float> kRatios = {0.5f, 2.0f, 9.0f, 1.5f, 0.8f, 9.0f, 0.25f};

struct Vtrace {
  std::vector<float> targets, advantages;
};
Vtrace vtrace(const VtraceConfig& config, const std::vector<float>& ratios = kRatios) {
  HandRing hand(shape_of(1));
  hand.write_column(0, kTrajectory);
  compute_vtrace(Stream::cpu(), hand.view(), config, ratios.data(), nullptr);
  return {hand.column(0, RolloutExtra::kReturn), hand.column(0, RolloutExtra::kAdvantage)};
}

// The sums of equation 1 written out over each episode.
TEST(Vtrace, HandComputedTargetsAndAdvantages) {
  const Vtrace plain = vtrace({.gamma = kGamma});
  expect_near(plain.targets, {1.65, 2.0, 0, 6.3696, 3.744, 0, 1.46});
  expect_near(plain.advantages, {2.3, 1.6, 0, 6.0696, 4.43, 0, 5.44});
  const Vtrace short_traces = vtrace({.gamma = kGamma, .lambda = 0.8f});
  expect_near(short_traces.targets, {1.506, 2.0, 0, 5.73168, 3.744, 0, 1.46});
  expect_near(short_traces.advantages, {2.012, 1.6, 0, 5.43168, 4.43, 0, 5.44});
}

TEST(Vtrace, WeightsAreClippedEachByItsOwnBound) {
  const Vtrace wide = vtrace({.gamma = kGamma, .ratio_bar = 2.0f, .trace_bar = 0.5f, .weighted = true});
  expect_near(wide.targets, {2.37, 3.6, 0, 6.2148, 3.744, 0, 1.46});
  expect_near(wide.advantages, {1.87, 3.2, 0, 9.1044, 3.544, 0, 1.36});
}

TEST(Vtrace, OnPolicyIsGeneralisedAdvantageEstimation) {
  for (const float lambda : {0.0f, 0.8f, 1.0f}) {
    const Vtrace on_policy = vtrace({.gamma = kGamma, .lambda = lambda}, std::vector<float>(kRows, 1.0f));
    const std::vector<float> expected = advantages(lambda);
    expect_near(on_policy.advantages, std::vector<double>(expected.begin(), expected.end()));
  }
}

// Half the rewards, and with temperature 0.2 the entropy of log pi = -0.5 everywhere: 0.1 on top of each.
TEST(Vtrace, RewardScaleAndTemperatureMakeTheRewards) {
  HandRing plain(shape_of(1)), scaled(shape_of(1));
  std::vector<HandRow> rows = kTrajectory;
  scaled.write_column(0, rows);
  for (HandRow& row : rows) row.reward = 0.5f * row.reward + 0.1f;
  plain.write_column(0, rows);
  for (int t = 0; t < kRows; ++t) scaled.extra(t, 0)[RolloutExtra::kLogProb] = -0.5f;
  const float scale = 0.5f;
  VtraceConfig config{.gamma = kGamma, .lambda = 0.8f};
  compute_vtrace(Stream::cpu(), plain.view(), config, kRatios.data(), nullptr);
  config.temperature = 0.2f;
  compute_vtrace(Stream::cpu(), scaled.view(), config, kRatios.data(), &scale);
  for (const int field : {RolloutExtra::kReturn, RolloutExtra::kAdvantage}) {
    const std::vector<float> expected = plain.column(0, field);
    expect_near(scaled.column(0, field), std::vector<double>(expected.begin(), expected.end()));
  }
}

// A policy that would never take these actions learns nothing from them.
TEST(Vtrace, ActionsOfRatioZeroLeaveTheValue) {
  const Vtrace never = vtrace({.gamma = kGamma, .weighted = true}, std::vector<float>(kRows, 0.0f));
  expect_near(never.targets, {0.5, 0.4, 0, 0.3, 0.2, 0, 0.1});
  expect_near(never.advantages, {0, 0, 0, 0, 0, 0, 0});
}

// Neighbouring columns do not see each other, whatever their number and the number of threads.
TEST(Gae, ColumnsAreIndependent) {
  for (const int environments : {3, 31, 33, 257}) {
    for (const int threads : {1, 2}) {
      HandRing hand(shape_of(environments));
      for (int i = 0; i < environments; ++i) {
        std::vector<HandRow> rows = kTrajectory;
        for (HandRow& row : rows) {
          row.reward *= static_cast<float>(i + 1);
          row.value *= static_cast<float>(i + 1);
        }
        hand.write_column(i, rows);
      }
      compute_gae(Stream::cpu(threads), hand.view(), kGamma, 0.8f, nullptr);
      for (int i = 0; i < environments; ++i) {
        const std::vector<float> column = hand.column(i, RolloutExtra::kAdvantage);
        ASSERT_NEAR(column[3], 6.0696 * (i + 1), 1e-5 * (i + 1)) << environments << ' ' << i;
        ASSERT_NEAR(column[0], 2.012 * (i + 1), 1e-5 * (i + 1));
      }
    }
  }
}

struct Fold {
  int slot;
  double target, discount;
  int bootstrap_slot, steps;
};

void expect_folds(int n, const std::vector<Fold>& folds) {
  HandRing hand(shape_of(1));
  hand.write_column(0, kTrajectory);
  for (const Fold& fold : folds) {
    const NStepTarget target = fold_n_step(hand.view(), fold.slot, 0, n, kGamma);
    EXPECT_NEAR(target.discount, fold.discount, 1e-6) << fold.slot;
    EXPECT_EQ(target.bootstrap_slot, fold.bootstrap_slot) << fold.slot;
    EXPECT_EQ(target.steps, fold.steps) << fold.slot;
    const float bootstrap = kTrajectory[static_cast<std::size_t>(target.bootstrap_slot)].value;
    EXPECT_NEAR(target.reward + target.discount * bootstrap, fold.target, 3e-6) << fold.slot;
  }
}

TEST(NStep, ThreeStepsStopAtEpisodeEnds) {
  expect_folds(3, {{0, 2.8, 0.0, 2, 2}, {1, 2.0, 0.0, 2, 1}, {3, 7.167, 0.81, 5, 2}, {4, 4.63, 0.9, 5, 1}});
}

TEST(NStep, OneStepIsTheTemporalDifferenceTarget) {
  expect_folds(1, {{0, 1.36, 0.9, 1, 1}, {1, 2.0, 0.0, 2, 1}, {4, 4.63, 0.9, 5, 1}, {6, 5.54, 0.9, 7, 1}});
}

TEST(NStep, ATerminalTargetIsExactlyTheReward) {
  HandRing hand(shape_of(1));
  hand.write_column(0, {{0.1f, kValid | kTerminated, 0.0f}});
  const NStepTarget target = fold_n_step(hand.view(), 0, 0, 5, 0.99f);
  EXPECT_EQ(target.reward, 0.1f);
  EXPECT_EQ(target.discount, 0.0f);
}

TEST(NStep, GoesOnAcrossTheRingsEnd) {
  HandRing hand(shape_of(1));
  for (int slot = 0; slot <= kRows; ++slot) hand.write(slot, 0, {static_cast<float>(slot + 1), kValid, 0.0f});
  const NStepTarget target = fold_n_step(hand.view(), kRows, 0, 2, kGamma);
  EXPECT_NEAR(target.reward, 8 + 0.9 * 1, 1e-6);
  EXPECT_EQ(target.bootstrap_slot, 1);
}

}  // namespace
}  // namespace stampede
