// SPDX-License-Identifier: Apache-2.0
// The fused rollout of value-based methods under the emulator leaves the bits of the stepwise path: observations,
// actions, rewards, flags, bootstraps and environment states.
#include "tests/emulator/fused_values_rig.h"

#include <gtest/gtest.h>

#include "environments/environment_types.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::same_bits;
using simt::Schedule;

constexpr Schedule kForward{simt::Order::kForward, 0};
constexpr Schedule kReverse{simt::Order::kReverse, 0};
constexpr Schedule kRandom{simt::Order::kRandom, 1};

void expect_equal(const ActedRows& expected, const ActedRows& got, const std::string& where) {
  ASSERT_TRUE(same_bits(expected.obs, got.obs)) << where << ": observations";
  ASSERT_TRUE(same_bits(expected.records, got.records)) << where << ": records";
  ASSERT_TRUE(same_bits(expected.extra, got.extra)) << where << ": bootstraps";
  ASSERT_TRUE(same_bits(expected.environments, got.environments)) << where << ": environments";
}

template <class E>
void expect_equal_dqn(const ValueCase& c, const DqnConfig& config, const std::vector<int>& rows, std::size_t pairs,
                      const Schedule& schedule) {
  DqnSide<E> stepwise(c, config), fused(c, config);
  const std::string where = std::string(E::specs[0].id) + " " + schedule.name();
  for (const int count : rows) {
    const ActedRows expected = stepwise.act_stepwise(count), got = fused.act_fused(count, pairs, schedule);
    EXPECT_EQ(got.launches, 1);
    expect_equal(expected, got, where);
  }
}

template <class E>
void expect_equal_pqn(const ValueCase& c, const PqnConfig& config, int rollouts, std::size_t pairs,
                      const Schedule& schedule) {
  PqnSide<E> stepwise(c, config), fused(c, config);
  for (int r = 0; r < rollouts; ++r) {
    const ActedRows expected = stepwise.roll_stepwise(), got = fused.roll_fused(pairs, schedule);
    EXPECT_EQ(got.launches, (c.ring_rows + FusedExploration::kMostRows - 1) / FusedExploration::kMostRows);
    expect_equal(expected, got, std::string(E::specs[0].id) + " " + schedule.name() + " " + std::to_string(r));
  }
}

template <class Call>
void for_each_discrete_type(const Call& call) {
  for_each_environment_type([&]<class E>(const char* name) {
    if constexpr (RolloutShape<E>::kDiscrete) call.template operator()<E>(name);
  });
}

// The ring has 5 rows and wraps within a launch.
TEST(FusedValues, DqnActsAndStepsEveryEnvironmentAsStepwise) {
  for_each_discrete_type([]<class E>(const char*) {
    expect_equal_dqn<E>({.environments = 65}, {}, {1, 4, 1, 3}, 2, kRandom);
    expect_equal_dqn<E>({}, {.dueling = true}, {2, 5}, 1, kReverse);
  });
}

TEST(FusedValues, PqnRollsOutEveryEnvironmentAsStepwise) {
  for_each_discrete_type([]<class E>(const char*) {
    ValueCase c{.environments = 65, .ring_rows = 4};
    c.network.layer_norm = true;
    expect_equal_pqn<E>(c, {}, 2, 2, kRandom);
  });
}

TEST(FusedValues, EveryBootstrapWithAndWithoutATargetNetwork) {
  for (const auto kind : {BootstrapKind::kMax, BootstrapKind::kSarsa, BootstrapKind::kExpectedSarsa}) {
    for (const int target_interval : {0, 7}) {
      const PqnConfig config{.bootstrap = kind, .target_interval = target_interval};
      expect_equal_pqn<CartPole>({}, config, 3, 2, kReverse);
      expect_equal_pqn<Taxi>({.environments = 31, .ring_rows = 2}, config, 2, 1, kRandom);
    }
  }
}

TEST(FusedValues, FinalEpsilonsOfTheEnvironmentsOwn) {
  const PqnConfig config{.target_interval = 3, .epsilon_ends = {0.1, 0.01, 0.5}};
  expect_equal_pqn<Acrobot>({.environments = 40, .ring_rows = 3}, config, 2, 1, kRandom);
  DqnConfig dqn;
  dqn.epsilon_ends = {0.1, 0.9};
  expect_equal_dqn<CartPole>({.environments = 40}, dqn, {3, 4}, 1, kReverse);
}

TEST(FusedValues, EveryNetworkShape) {
  for (const std::vector<int>& hidden : std::vector<std::vector<int>>{{128, 128}, {32, 8}, {8, 120}, {128, 72}}) {
    for (const Activation activation : {Activation::kTanh, Activation::kRelu}) {
      for (const bool layer_norm : {false, true}) {
        ValueCase c{.ring_rows = 2, .network = {.hidden = hidden, .activation = activation, .layer_norm = layer_norm}};
        expect_equal_pqn<CartPole>(c, {.bootstrap = BootstrapKind::kExpectedSarsa}, 1, 1, kRandom);
        expect_equal_pqn<FrozenLake>(c, {.target_interval = 2}, 1, 2, kReverse);
      }
    }
  }
}

TEST(FusedValues, NoisyLayersAndDropoutActWithTheirDraw) {
  expect_equal_dqn<CartPole>({}, {.noisy = NoisyLayers::kHeads}, {1, 1, 1}, 1, kReverse);
  expect_equal_dqn<CartPole>({}, {.dueling = true, .dropout = 0.3f}, {1, 1, 1}, 1, kForward);
}

TEST(FusedValues, OddNumbersOfEnvironments) {
  for (const int environments : {1, 31, 33, 257}) {
    expect_equal_dqn<MountainCar>({.environments = environments}, {}, {1, 2}, 2, kForward);
    expect_equal_pqn<MountainCar>({.environments = environments, .ring_rows = 1}, {}, 2, 3, kReverse);
  }
}

// More rows than one launch takes, over which episodes end.
TEST(FusedValues, LongRolloutsAreCutIntoLaunches) {
  const ValueCase c{.environments = 40, .ring_rows = FusedExploration::kMostRows + 9};
  expect_equal_pqn<CartPole>(c, {.bootstrap = BootstrapKind::kSarsa}, 2, 2, kRandom);
  const ValueCase whole{.environments = 33, .ring_rows = FusedExploration::kMostRows};
  expect_equal_pqn<CartPole>(whole, {}, 1, 1, kForward);
}

TEST(FusedValues, NoScheduleChangesABit) {
  for (const Schedule& schedule : simt::all_schedules()) {
    ValueCase c{.environments = 97, .ring_rows = 9};
    expect_equal_dqn<CartPole>(c, {.dueling = true}, {20}, 2, schedule);
    c.network.layer_norm = true;
    expect_equal_pqn<CartPole>(c, {.target_interval = 5}, 2, 2, schedule);
  }
}

// Actions come from tensor cores; what the environments make of them is exact.
TEST(FusedValues, Bf16ActsCloseToFp32) {
  const ValueCase c{.environments = 257};
  DqnSide<CartPole, Bf16Policy<CartPole>> fused(c, {.dueling = true});
  DqnSide<CartPole> replayed(c, {.dueling = true}), stepwise(c, {.dueling = true});
  const ActedRows got = fused.act_fused(1, 2, kRandom);
  expect_equal(replayed.replay(got), got, "replayed");
  const ActedRows fp32 = stepwise.act_stepwise(1);
  int others = 0;
  for (std::size_t w = 0; w < 257 * 4; w += 4) others += fp32.records[w] != got.records[w];
  EXPECT_LT(others, 8);
}

TEST(FusedValues, WhatDoesNotFitSaysWhy) {
  const auto refusal = [](const NetworkShape& shape, Precision precision) {
    DqnConfig config;
    config.network = shape;
    const Space observation = Space::box<3>({-1, -1, -1}, {1, 1, 1});
    Arena arena{Device{}};
    const auto network = std::make_shared<MlpNetwork>(Dqn::network_spec(config, observation, Space::discrete(2)));
    return fused_network_refusal(TrainableNetwork(network, {}, 1, arena), precision);
  };
  EXPECT_EQ(refusal({.layer_norm = true}, Precision::kFp32), "");
  EXPECT_NE(refusal({.layer_norm = true}, Precision::kBf16).find("in bf16"), std::string::npos);
  EXPECT_NE(refusal({.batch_norm = true}, Precision::kFp32).find("batch normalisation"), std::string::npos);
  EXPECT_NE(refusal({.hidden = {64}}, Precision::kFp32).find("two hidden layers"), std::string::npos);
}

TEST(RemovedBarriers, OfFusedValueRollouts) {
  ValueCase c{.environments = 65, .ring_rows = 3, .network = {.layer_norm = true}};
  const auto launch = [&](const Schedule& schedule) { return PqnSide<CartPole>(c, {}).roll_fused(2, schedule).extra; };
  EXPECT_EQ(simt::expect_barriers_are_needed(launch), 4u);
}

}  // namespace
}  // namespace stampede
