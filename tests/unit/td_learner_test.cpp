// SPDX-License-Identifier: Apache-2.0
// Temporal-difference updates against values computed by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "agents/linear/td_history.h"
#include "kernels/error.h"
#include "tests/unit/td_rig.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

constexpr float kTolerance = 1e-6f;

// Rewards 1 ... 5, a termination after the second, truncations after the fourth and the fifth. States 0, 1 and 3, 4 and
// 6 are acted in; 2, 5 and 7 are final ones.
void play_golden(TdRig& rig) {
  rig.set(1, 0.4f);
  rig.set(2, 9.9f);
  rig.set(4, 0.2f);
  rig.set(5, 0.7f);
  rig.set(7, 0.6f);
  rig.episode(0, {{0, 1, 1}, {0, 2, 2}}, kTerminated);
  rig.episode(3, {{0, 3, 4}, {0, 4, 5}}, kTruncated);
  rig.episode(6, {{0, 5, 7}}, kTruncated);
}

void expect_targets(TdRig& rig, const std::vector<float>& targets) {
  const int states[] = {0, 1, 3, 4, 6};
  for (int k = 0; k < 5; ++k) EXPECT_NEAR(rig.q(states[k], 0), targets[static_cast<std::size_t>(k)], 1e-5f) << k;
}

TEST(TdTargets, BootstrapThroughTruncationNotTermination) {
  for (const TdTarget target : {TdTarget::kMaximum, TdTarget::kSampled, TdTarget::kExpected}) {
    TdRig rig({.target = target, .gamma = 0.9f});
    play_golden(rig);
    expect_targets(rig, {1.36f, 2.0f, 3.18f, 4.63f, 5.54f});
  }
}

TEST(TdTargets, NStepsAreFoldedAndCut) {
  for (const TdTarget target : {TdTarget::kMaximum, TdTarget::kSampled, TdTarget::kExpected}) {
    TdRig rig({.target = target, .gamma = 0.9f, .n_step = 3});
    play_golden(rig);
    expect_targets(rig, {2.8f, 2.0f, 7.167f, 4.63f, 5.54f});
  }
}

// Two steps within a longer episode: the row two back gets both rewards and the value two steps on.
TEST(TdTargets, NStepsInsideAnEpisode) {
  TdRig rig({.gamma = 0.5f, .n_step = 2});
  rig.set(2, 8.0f);
  rig.observe(0);
  rig.take(1, 1.0f);
  rig.observe(1);
  EXPECT_EQ(rig.q(0, 1), 0.0f) << "learnt before two steps were seen";
  rig.take(0, 2.0f);
  rig.observe(2);
  EXPECT_NEAR(rig.q(0, 1), 1.0f + 0.5f * 2.0f + 0.25f * 8.0f, kTolerance);
  EXPECT_EQ(rig.q(1, 0), 0.0f);
}

TEST(TdTargets, TheReferenceTable) {
  const auto target_of = [](TdTarget target, float epsilon) {
    TdRig rig({.target = target, .gamma = 0.5f});
    rig.rates.epsilon = epsilon;
    rig.q(1, 0) = 2.0f;
    rig.q(1, 1) = 6.0f;
    rig.episode(0, {{0, 1, 1}, {0, 0, 2}}, kTerminated);
    return rig.q(0, 0);
  };
  for (const TdTarget target : {TdTarget::kMaximum, TdTarget::kSampled, TdTarget::kExpected}) {
    EXPECT_NEAR(target_of(target, 0.0f), 1.0f + 0.5f * 6.0f, kTolerance) << "all three agree without exploration";
  }
  EXPECT_NEAR(target_of(TdTarget::kMaximum, 1.0f), 4.0f, kTolerance);
  EXPECT_NEAR(target_of(TdTarget::kExpected, 1.0f), 1.0f + 0.5f * 4.0f, kTolerance) << "the mean";
  EXPECT_NEAR(target_of(TdTarget::kExpected, 0.2f), 1.0f + 0.5f * (0.2f * 4.0f + 0.8f * 6.0f), kTolerance);
}

// SARSA's target is the action that is executed next, chosen before the update.
TEST(TdTargets, SarsaUsesTheActionItTakes) {
  std::set<float> seen;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TdRig rig({.target = TdTarget::kSampled, .gamma = 1.0f}, OneHot{8}, 1, 8, seed);
    rig.rates.epsilon = 1.0f;
    rig.q(1, 0) = 2.0f;
    rig.q(1, 1) = 6.0f;
    rig.observe(0);
    rig.take(0, 1.0f);
    rig.observe(1);
    EXPECT_EQ(rig.q(0, 0), rig.chosen() == 0 ? 3.0f : 7.0f);
    seen.insert(rig.q(0, 0));
  }
  EXPECT_EQ(seen, (std::set<float>{3.0f, 7.0f}));
}

TEST(TdTargets, SoftValues) {
  TdRig rig({.target = TdTarget::kSoft, .gamma = 0.5f});
  rig.rates.temperature = 0.3f;
  rig.q(1, 0) = 0.2f;
  rig.q(1, 1) = 0.5f;
  rig.episode(0, {{0, 1, 1}, {0, 0, 2}}, kTerminated);
  const double v = 0.3 * std::log(std::exp(0.2 / 0.3) + std::exp(0.5 / 0.3));
  EXPECT_NEAR(rig.q(0, 0), 1.0 + 0.5 * v, 1e-5);
}

// Estimator A prefers action 1, which B values at 2, not at its own 5.
TEST(DoubleQ, TheOtherEstimatorJudges) {
  std::set<int> updated;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TdRig rig({.gamma = 1.0f, .double_q = true}, OneHot{8}, 1, 8, seed);
    rig.q(1, 1, 0) = 1.0f;
    rig.q(1, 0, 1) = 5.0f;
    rig.q(1, 1, 1) = 2.0f;
    rig.episode(0, {{0, 0, 1}}, kTruncated);
    if (rig.q(0, 0, 0) != 0.0f) {
      EXPECT_EQ(rig.q(0, 0, 0), 2.0f);
      updated.insert(0);
    } else {
      EXPECT_EQ(rig.q(0, 0, 1), 0.0f) << "B prefers action 0, which A values at 0";
      updated.insert(1);
    }
  }
  EXPECT_EQ(updated, (std::set<int>{0, 1}));
}

TEST(Traces, AccumulateOrReplace) {
  for (const bool replacing : {false, true}) {
    TdRig rig({.target = TdTarget::kSampled, .gamma = 0.9f, .lambda = 0.8f, .replacing = replacing});
    rig.rates.learning_rate = 0.5f;
    rig.episode(0, {{0, 0, 1}, {0, 0, 0}, {0, 0, 2}, {0, 1, 3}}, kTerminated);
    // Traces at the end: state 0 visited 3 and 1 steps before, state 1 two steps, state 2 now.
    EXPECT_NEAR(rig.q(2, 0), 0.5f, kTolerance);
    EXPECT_NEAR(rig.q(1, 0), 0.5f * 0.72f * 0.72f, kTolerance);
    EXPECT_NEAR(rig.q(0, 0), 0.5f * (0.72f + (replacing ? 0.0f : 0.72f * 0.72f * 0.72f)), kTolerance);
  }
}

TEST(Traces, EndWithTheEpisode) {
  TdRig rig({.target = TdTarget::kSampled, .gamma = 0.9f, .lambda = 0.8f});
  rig.episode(0, {{0, 0, 1}}, kTerminated);
  rig.episode(2, {{0, 1, 3}}, kTerminated);
  EXPECT_EQ(rig.q(0, 0), 0.0f);
  EXPECT_EQ(rig.q(2, 0), 1.0f);
}

// Watkins's Q(lambda) forgets the past where the next action is not the greedy one; SARSA(lambda) does not.
TEST(Traces, WatkinsCutsAtExploration) {
  const auto credit = [](TdTarget target) {
    std::set<std::pair<bool, bool>> outcomes;  // explored, credited
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      TdRig rig({.target = target, .gamma = 1.0f, .lambda = 0.5f}, OneHot{8}, 1, 8, seed);
      rig.rates.epsilon = 1.0f;
      rig.rates.learning_rate = 0.5f;
      rig.q(1, 1) = -1.0f;  // so that action 0 is greedy in state 1
      rig.observe(0);
      rig.take(0, 0.0f);
      rig.observe(1);
      const int next = rig.chosen();
      rig.q(0, 0) = 0.0f;
      rig.take(next, 4.0f, kTerminated);
      rig.observe(2);
      outcomes.emplace(next == 1, rig.q(0, 0) != 0.0f);
    }
    return outcomes;
  };
  EXPECT_EQ(credit(TdTarget::kMaximum), (std::set<std::pair<bool, bool>>{{false, true}, {true, false}}));
  EXPECT_EQ(credit(TdTarget::kSampled), (std::set<std::pair<bool, bool>>{{false, true}, {true, true}}));
}

TEST(MonteCarlo, FirstVisitOrEveryVisit) {
  for (const bool first : {true, false}) {
    TdRig rig({.target = TdTarget::kReturn, .gamma = 1.0f, .first_visit = first});
    rig.rates.learning_rate = 0.5f;
    rig.episode(0, {{0, 1, 0}, {0, 2, 1}}, kTerminated);
    EXPECT_NEAR(rig.q(0, 0), first ? 1.5f : 2.0f, kTolerance);
    rig.episode(0, {{0, 4, 1}}, kTerminated);  // the first visit of another episode counts again
    EXPECT_NEAR(rig.q(0, 0), first ? 2.75f : 3.0f, kTolerance);
  }
}

TEST(MonteCarlo, DiscountsAndAverages) {
  TdRig rig({.target = TdTarget::kReturn, .gamma = 0.9f, .rate_power = 1.0f, .first_visit = true});
  rig.episode(0, {{0, 1, 1}, {1, 2, 2}, {0, 3, 3}}, kTerminated);
  EXPECT_NEAR(rig.q(0, 0), 1.0f + 0.9f * 2.0f + 0.81f * 3.0f, 1e-5f);
  EXPECT_NEAR(rig.q(1, 1), 2.0f + 0.9f * 3.0f, 1e-5f);
  rig.episode(2, {{0, 6, 3}}, kTerminated);
  EXPECT_NEAR(rig.q(2, 0), 4.5f, 1e-5f) << "the mean of 3 and 6";
}

TEST(MonteCarlo, GoesOnBehindATruncation) {
  TdRig rig({.target = TdTarget::kReturn, .gamma = 0.9f});
  play_golden(rig);
  expect_targets(rig, {2.8f, 2.0f, 7.167f, 4.63f, 5.54f});
}

// One real step and many remembered ones carry the reward to the start.
TEST(DynaQ, PlanningSpreadsWhatIsKnown) {
  for (const int steps : {0, 200}) {
    TdRig rig({.gamma = 0.5f, .planning_steps = steps});
    rig.episode(0, {{0, 0, 1}, {1, 0, 2}, {0, 8, 3}}, kTerminated);
    EXPECT_NEAR(rig.q(2, 0), 8.0f, kTolerance);
    EXPECT_NEAR(rig.q(1, 1), steps ? 4.0f : 0.0f, kTolerance);
    EXPECT_NEAR(rig.q(0, 0), steps ? 2.0f : 0.0f, kTolerance);
    EXPECT_EQ(rig.q(0, 1), 0.0f) << "never tried";
  }
}

// One outcome in four pays 8. A model of frequencies plans with the mean, 2; one of the latest outcome with that alone.
TEST(DynaQ, OutcomesAreDrawnAsOftenAsTheyCame) {
  for (const int outcomes : {1, 2, 4}) {
    TdRig rig({.planning_steps = 500, .model_outcomes = outcomes});
    rig.rates.learning_rate = 0.01f;
    for (int k = 0; k < 8; ++k) rig.episode(0, {{0, k % 4 == 3 ? 8.0f : 0.0f, 1}}, kTerminated);
    EXPECT_NEAR(rig.q(0, 0), outcomes == 1 ? 8.0f : 2.0f, 1.2f) << outcomes;  // the deviation is 0.25
  }
}

TEST(DynaQ, TheRarestOutcomeMakesRoom) {
  ModelEntry outcomes[2] = {};
  for (const float reward : {1.0f, 1.0f, 2.0f, 3.0f}) count_outcome(outcomes, 2, {reward, 0, 0, 1});
  EXPECT_EQ(outcomes[0].reward, 1.0f);
  EXPECT_EQ(outcomes[0].count, 2);
  EXPECT_EQ(outcomes[1].reward, 3.0f);
  EXPECT_EQ(outcomes[1].count, 1);
  outcomes[0].count = ModelEntry::kMostOften - 1;
  outcomes[1].count = 7;
  count_outcome(outcomes, 2, {1.0f, 0, 0, 1});
  EXPECT_EQ(outcomes[0].count, ModelEntry::kMostOften / 2);
  EXPECT_EQ(outcomes[1].count, 3);
  count_outcome(outcomes, 2, {1.0f, 0, 1, 1});
  EXPECT_EQ(outcomes[1].terminates, 1) << "the same reward, but an end";
}

TEST(Exploration, CountsAddABonus) {
  TdRig rig({.gamma = 0.0f, .bonus = 2.0f});
  rig.episode(0, {{0, 1, 1}}, kTerminated);
  EXPECT_NEAR(rig.q(0, 0), 3.0f, kTolerance);
  rig.episode(0, {{0, 1, 1}}, kTerminated);
  EXPECT_NEAR(rig.q(0, 0), 1.0f + 2.0f / std::sqrt(2.0f), kTolerance);
}

TEST(Exploration, OptimismIsWhereItStarts) {
  TdRig rig({.double_q = true, .initial_value = 5.0f});
  for (const int estimator : {0, 1}) EXPECT_EQ(rig.q(3, 1, estimator), 5.0f);
}

// Every action has its share of epsilon, the greedy one too; ties are broken evenly.
TEST(Exploration, ActionFrequencies) {
  constexpr int kLearners = 20000;
  for (const bool tie : {false, true}) {
    TdRig rig({}, OneHot{8}, kLearners);
    rig.rates.epsilon = 0.3f;
    for (int i = 0; i < kLearners; ++i) rig.q(1, 1, 0, i) = tie ? 0.0f : 1.0f;
    rig.observe(1);
    double greedy = 0;
    for (int i = 0; i < kLearners; ++i) greedy += rig.chosen(i) == 1;
    const double expected = tie ? 0.5 : 0.85;
    EXPECT_NEAR(greedy / kLearners, expected, 4.5 * std::sqrt(expected * (1 - expected) / kLearners));
  }
}

TEST(Exploration, BoltzmannFrequencies) {
  constexpr int kLearners = 20000;
  TdRig rig({.target = TdTarget::kSoft}, OneHot{8}, kLearners);
  rig.rates.temperature = 0.5f;
  for (int i = 0; i < kLearners; ++i) rig.q(1, 1, 0, i) = 0.4f;
  rig.observe(1);
  double second = 0;
  for (int i = 0; i < kLearners; ++i) second += rig.chosen(i) == 1;
  const double expected = 1.0 / (1.0 + std::exp(-0.8));
  EXPECT_NEAR(second / kLearners, expected, 4.5 * std::sqrt(expected * (1 - expected) / kLearners));
}

TEST(Episodes, ALearnerStopsAfterItsLast) {
  TdRig rig({.gamma = 0.9f, .episodes = 3, .return_window = 2});
  for (const float reward : {1.0f, 2.0f, 4.0f, 100.0f}) {
    rig.rates.learning_rate = 1.0f;
    rig.episode(0, {{0, reward, 1}}, kTerminated);
  }
  EXPECT_EQ(rig.q(0, 0), 4.0f);
  const TdMetrics metrics = rig.learner().read_metrics(rig.stream());
  EXPECT_EQ(metrics.finished_learners, 1);
  EXPECT_DOUBLE_EQ(metrics.return_mean, 3.0) << "of the last two episodes";
}

TEST(Episodes, RatesFollowThem) {
  const Anneal linear{1.0f, 0.2f, 1.0f / 4.0f, false}, geometric{1.0f, 0.01f, 1.0f / 4.0f, true};
  EXPECT_FLOAT_EQ(linear.at(0), 1.0f);
  EXPECT_FLOAT_EQ(linear.at(2), 0.6f);
  EXPECT_FLOAT_EQ(linear.at(9), 0.2f);
  EXPECT_NEAR(geometric.at(2), 0.1f, 1e-6f);
  EXPECT_FLOAT_EQ((Anneal{.start = 0.7f}).at(100), 0.7f);
}

// Tables go through a row in tiles on a CPU; a tile coding of one tiling, which is the same table, learner by learner.
void expect_same_learning(const TdConfig& config) {
  constexpr int kLearners = 131, kStates = 8;
  TileCoding tiling;
  tiling.tilings = 1;
  tiling.tiles = kStates;
  tiling.inverse_tilings = tiling.inverse_active = 1.0f;
  tiling.scale.inverse_range[0] = 1.0f / kStates;
  TdRig table(config, OneHot{kStates + 1}, kLearners), same(config, tiling, kLearners);
  for (TdRig* rig : {&table, &same}) {
    rig->rates = {.epsilon = 0.3f, .learning_rate = 0.4f, .temperature = 0.2f};
    for (int k = 0; k < 200; ++k) {
      rig->observe(static_cast<float>(k * k % kStates));
      const std::uint32_t end = k % 7 == 4 ? kTerminated : (k % 11 == 6 ? kTruncated : 0);
      rig->happen(static_cast<float>(k % 5) - 1.5f, k % 13 == 2 ? 0 : kValid | end);
    }
  }
  for (int i = 0; i < kLearners; ++i) {
    EXPECT_EQ(table.chosen(i), same.chosen(i)) << i;
    for (int k = 0; k < kStates * TdRig::kActions; ++k)
      EXPECT_EQ(table.q(k / 2, k % 2, 0, i), same.q(k / 2, k % 2, 0, i));
  }
  const TdMetrics a = table.learner().read_metrics(table.stream()), b = same.learner().read_metrics(same.stream());
  EXPECT_EQ(a.mean_absolute_error, b.mean_absolute_error);
  EXPECT_EQ(a.return_mean, b.return_mean);
  EXPECT_GT(a.most_episodes, 20);
}

TEST(TableTiles, GiveTheBitsOfLearnersOneByOne) {
  for (const TdTarget target : {TdTarget::kMaximum, TdTarget::kSampled, TdTarget::kExpected, TdTarget::kSoft}) {
    SCOPED_TRACE(static_cast<int>(target));
    expect_same_learning({.target = target, .gamma = 0.9f, .initial_value = 0.5f});
    expect_same_learning({.target = target, .gamma = 0.9f, .episodes = 25, .return_window = 10});
    if (target == TdTarget::kSoft) continue;
    expect_same_learning({.target = target, .gamma = 0.9f, .n_step = 3});
    expect_same_learning({.target = target, .gamma = 0.9f, .lambda = 0.7f});
  }
  expect_same_learning({.gamma = 0.9f, .double_q = true});
}

TEST(TdLearner, ANonFiniteValueChangesNothing) {
  TdRig rig({.gamma = 0.9f});
  rig.episode(0, {{0, INFINITY, 1}}, kTerminated);
  EXPECT_EQ(rig.q(0, 0), 0.0f);
  EXPECT_TRUE(rig.learner().read_metrics(rig.stream()).failed);
}

TEST(TdLearner, RefusesOptionsThatExcludeEachOther) {
  const RingShape shape{1, 4, 1, ObsType::kInt32, RecordLayout::for_action_size(1)};
  const auto refused = [&](const TdConfig& config, int actions = 2) {
    EXPECT_THROW(TdLearner::check(config, OneHot{4}, actions, shape), UsageError);
  };
  refused({.n_step = 2, .lambda = 0.5f});
  refused({.n_step = 5});
  refused({.target = TdTarget::kReturn, .n_step = 2});
  refused({.target = TdTarget::kSoft, .lambda = 0.5f});
  refused({.target = TdTarget::kSampled, .double_q = true});
  refused({.lambda = 0.5f, .double_q = true});
  refused({.target = TdTarget::kSampled, .planning_steps = 1});
  refused({.n_step = 2, .bonus = 1.0f});
  refused({}, kMaxTdActions + 1);
  EXPECT_NO_THROW(TdLearner::check({.n_step = 4}, OneHot{4}, kMaxTdActions, shape));
}

// A target reads as many rows as it reaches back, of tables and of linear features.
TEST(TdTrainer, TheRingHoldsWhatTargetsReachBack) {
  const auto rows = [](const char* algorithm, const char* env, const Keys& keys) {
    TrainingRun run(algorithm, env, keys);
    const std::size_t words = RecordLayout::for_action_size(1).words;
    return run.block("ring.records").shape[0] / words / static_cast<std::size_t>(run.config().integer("num_envs")) - 1;
  };
  const std::size_t shortest = 2;
  EXPECT_EQ(rows("q_learning", "FrozenLake-v1", {}), shortest);
  EXPECT_EQ(rows("linear_q", "MountainCar-v0", {{"n_step", "5"}}), 5u);
  EXPECT_EQ(rows("mc_control", "FrozenLake-v1", {{"target", "return"}}), 100u);
  EXPECT_EQ(rows("mc_control", "CliffWalking-v1", {{"target", "return"}, {"longest_episode", "300"}}), 300u);
  EXPECT_EQ(rows("linear_q", "MountainCar-v0", {{"target", "return"}}), 200u);
}

}  // namespace
}  // namespace stampede
