// SPDX-License-Identifier: Apache-2.0
// The fused rollout kernel under the emulator leaves the bits of the stepwise path: observations, actions, rewards,
// flags, log-probabilities, values, environment states and finished episodes.
#include "tests/emulator/fused_rollout_rig.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "environments/environment_types.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::same_bits;
using simt::Schedule;

constexpr Schedule kForward{simt::Order::kForward, 0};

// A segment keeps its last 128 episodes in order of rows, but of a row's in any order: those of the oldest row that a
// full segment keeps are left out.
std::vector<Episode> kept(const std::vector<Episode>& episodes) {
  std::vector<Episode> certain;
  for (const Episode& e : episodes) {
    const auto same = [&](const Episode& other) {
      return other.environment / kEpisodeSegment == e.environment / kEpisodeSegment;
    };
    const auto oldest = std::find_if(episodes.begin(), episodes.end(), same);
    const bool full = std::count_if(episodes.begin(), episodes.end(), same) == kEpisodesKept;
    if (!full || e.row > oldest->row) certain.push_back(e);
  }
  return certain;
}

template <class E>
void expect_equal(const RolloutCase& c, int rollouts, std::size_t pairs, const Schedule& schedule) {
  SCOPED_TRACE(std::string(E::specs[0].id) + " " + c.name() + " " + schedule.name());
  RolloutSide<E> stepwise(c), fused(c);
  for (int r = 0; r < rollouts; ++r) {
    const RolloutResult expected = stepwise.collect_stepwise();
    const RolloutResult got = fused.collect_fused(pairs, schedule);
    ASSERT_TRUE(same_bits(expected.obs, got.obs)) << "observations of rollout " << r;
    ASSERT_TRUE(same_bits(expected.records, got.records)) << "records of rollout " << r;
    ASSERT_TRUE(same_bits(expected.extra, got.extra)) << "log-probabilities and values of rollout " << r;
    ASSERT_TRUE(same_bits(expected.environments, got.environments)) << "environments after rollout " << r;
    ASSERT_TRUE(same_bits(kept(expected.episodes), kept(got.episodes))) << "episodes of rollout " << r;
  }
}

TEST(FusedRollout, EveryEnvironmentHasTheBitsOfTheStepwisePath) {
  for_each_environment_type([]<class E>(const char*) {
    expect_equal<E>({.environments = 65, .steps = 7}, 2, 2, {simt::Order::kRandom, 1});
    expect_equal<E>({.environments = 33, .steps = 3, .shared_torso = false}, 2, 1, {simt::Order::kReverse, 0});
  });
}

TEST(FusedRollout, EveryShapeHasTheBitsOfTheStepwisePath) {
  for (const std::vector<int>& hidden : std::vector<std::vector<int>>{{128, 128}, {32, 32}, {128, 64}, {8, 120}}) {
    for (const bool shared_torso : {true, false}) {
      for (const Activation activation : {Activation::kTanh, Activation::kRelu, Activation::kLinear}) {
        const RolloutCase c{33, 3, hidden, activation, shared_torso};
        expect_equal<CartPole>(c, 1, 1, {simt::Order::kRandom, 2});
        expect_equal<FrozenLake>(c, 1, 2, {simt::Order::kReverse, 0});
      }
    }
  }
}

TEST(FusedRollout, OddNumbersOfEnvironmentsAndSteps) {
  for (const int environments : {1, 31, 33, 257}) {
    for (const int steps : {1, 2, 5}) {
      expect_equal<MountainCar>({environments, steps}, 2, 2, kForward);
      expect_equal<Pendulum>({environments, steps}, 1, 3, {simt::Order::kReverse, 0});
    }
  }
}

TEST(FusedRollout, LongRolloutsEndAndRestartEpisodes) {
  // Random CartPole episodes last about 20 steps; the limit cuts off what lasts longer.
  const RolloutCase c{.environments = 40, .steps = 100, .parameters = {{"theta_threshold", "0.3"}}};
  expect_equal<CartPole>(c, 3, 2, {simt::Order::kRandom, 3});
  RolloutSide<CartPole> side(c);
  EXPECT_GT(side.collect_fused(2, kForward).episodes.size(), 60u);
}

TEST(FusedRollout, NormalisesWithTheIterationsStatistics) {
  for (const Schedule& schedule : simt::all_schedules()) {
    expect_equal<Acrobot>({.environments = 33, .steps = 4, .normalize_observations = true}, 2, 1, schedule);
  }
}

TEST(FusedRollout, NoScheduleChangesABit) {
  for (const Schedule& schedule : simt::all_schedules()) {
    expect_equal<CartPole>({.environments = 97, .steps = 30}, 2, 2, schedule);
    expect_equal<Pendulum>({.environments = 97, .steps = 5, .shared_torso = false}, 1, 2, schedule);
  }
}

TEST(RemovedBarriers, OfFusedRollouts) {
  const RolloutCase c{.environments = 65, .steps = 3, .hidden = {128, 128}, .shared_torso = false};
  const auto launch = [&](const Schedule& schedule) {
    return RolloutSide<CartPole>(c).collect_fused(2, schedule).extra;
  };
  EXPECT_EQ(simt::expect_barriers_are_needed(launch), 4u);
}

}  // namespace
}  // namespace stampede
