// SPDX-License-Identifier: Apache-2.0
// The tensor-core policy of the fused rollout under the emulator: outputs close to fp32, everything after them exact.
#include "tests/emulator/fused_rollout_rig.h"

#include <gtest/gtest.h>

#include "environments/environment_types.h"
#include "train/fused/bf16_policy_blocks.h"

namespace stampede {
namespace {

using simt::same_bits;
using simt::Schedule;

constexpr Schedule kForward{simt::Order::kForward, 0};

TEST(Bf16, RoundsToNearestEven) {
  const auto rounded = [](float x) { return bits_float(bf16_bits(x)); };
  EXPECT_EQ(rounded(1.0f), 1.0f);
  EXPECT_EQ(rounded(-3.140625f), -3.140625f);          // eight bits of mantissa are enough
  EXPECT_EQ(rounded(1.0f + 0x1p-8f), 1.0f);            // ties go to the even neighbour,
  EXPECT_EQ(rounded(1.0f + 0x3p-8f), 1.0f + 0x1p-6f);  // below or above
  EXPECT_EQ(rounded(1.0f + 0x1.01p-8f), 1.0f + 0x1p-7f);
}

struct MmaKernel {
  const float *left, *right;  // [16, 16], [16, 8]
  float* sums;                // [16, 8]

  DEVICE void operator()() const {
    const int group = lane_index() / 4, pair = lane_index() % 4 * 2;
    const auto a = [&](int row, int column) { return pack_bf16(left[row * 16 + column], left[row * 16 + column + 1]); };
    const auto b = [&](int row) { return pack_bf16(right[row * 8 + group], right[(row + 1) * 8 + group]); };
    const std::uint32_t fragment[4] = {a(group, pair), a(group + 8, pair), a(group, pair + 8), a(group + 8, pair + 8)};
    float d[4];
    for (int e = 0; e < 4; ++e) d[e] = sums[(group + e / 2 * 8) * 8 + pair + e % 2];
    mma_m16n8k16(d, fragment, b(pair), b(pair + 8));
    for (int e = 0; e < 4; ++e) sums[(group + e / 2 * 8) * 8 + pair + e % 2] = d[e];
  }
};

TEST(Bf16, TheWarpsProductIsAMatrixProduct) {
  std::vector<float> left(256), right(128), expected(128);
  for (int e = 0; e < 256; ++e) left[static_cast<std::size_t>(e)] = static_cast<float>(e * 37 % 17 - 8);
  for (int e = 0; e < 128; ++e) right[static_cast<std::size_t>(e)] = static_cast<float>(e * 29 % 13 - 6);
  for (std::size_t e = 0; e < 128; ++e) {
    expected[e] = static_cast<float>(e);
    for (std::size_t k = 0; k < 16; ++k) expected[e] += left[e / 8 * 16 + k] * right[k * 8 + e % 8];
  }
  for (const Schedule& schedule : simt::all_schedules()) {
    std::vector<float> sums(128);
    for (std::size_t e = 0; e < 128; ++e) sums[e] = static_cast<float>(e);
    simt::GuardedArray<float> guarded(sums);
    const MmaKernel kernel{left.data(), right.data(), guarded.data()};
    simt::run(1, 32, 0, schedule, [&] { kernel(); });
    EXPECT_EQ(guarded.values(), expected) << schedule.name();
  }
}

// Of values and log-probabilities where outputs are about 1; the largest that was seen is 0.0058.
constexpr float kBound = 0.008f;

template <class E>
void expect_close(const RolloutCase& c, int rollouts, std::size_t pairs, const Schedule& schedule) {
  SCOPED_TRACE(std::string(E::specs[0].id) + " " + c.name() + " " + schedule.name());
  RolloutSide<E, Bf16Policy<E>> fused(c);
  RolloutSide<E> stepwise(c);
  for (int r = 0; r < rollouts; ++r) {
    const RolloutResult got = fused.collect_fused(pairs, schedule);
    const RolloutResult expected = stepwise.replay(got.records);
    ASSERT_TRUE(same_bits(expected.obs, got.obs)) << "observations of rollout " << r;
    ASSERT_TRUE(same_bits(expected.records, got.records)) << "records of rollout " << r;
    ASSERT_TRUE(same_bits(expected.environments, got.environments)) << "environments after rollout " << r;
    const auto distance = fused.distance_from_fp32();
    EXPECT_LT(distance.value, kBound);
    EXPECT_LT(distance.log_prob, kBound);
    if (E::specs[0].action.is_discrete()) {  // a Gaussian's action moves with its mean
      EXPECT_LT(distance.other_actions, 0.02);
    }
    fused.restate();
    const auto restated = fused.distance_from_fp32();
    EXPECT_EQ(restated.value, 0.0f);
    EXPECT_EQ(restated.log_prob, 0.0f);
  }
}

TEST(FusedRolloutBf16, EveryEnvironmentIsCloseToFp32) {
  for_each_environment_type([]<class E>(const char*) {
    expect_close<E>({.environments = 65, .steps = 4}, 2, 2, {simt::Order::kRandom, 1});
    expect_close<E>({.environments = 33, .steps = 3, .shared_torso = false}, 1, 1, {simt::Order::kReverse, 0});
  });
}

TEST(FusedRolloutBf16, EveryShapeIsCloseToFp32) {
  for (const std::vector<int>& hidden : std::vector<std::vector<int>>{{128, 128}, {32, 64}, {128, 8}}) {
    for (const bool shared_torso : {true, false}) {
      for (const Activation activation : {Activation::kTanh, Activation::kRelu}) {
        const RolloutCase c{33, 3, hidden, activation, shared_torso};
        expect_close<CartPole>(c, 1, 1, {simt::Order::kRandom, 2});
        expect_close<FrozenLake>(c, 1, 2, {simt::Order::kReverse, 0});
      }
    }
  }
}

TEST(FusedRolloutBf16, NoScheduleChangesABit) {
  const RolloutCase c{.environments = 97, .steps = 4, .shared_torso = false, .normalize_observations = true};
  RolloutSide<Acrobot, Bf16Policy<Acrobot>> first(c);
  const RolloutResult expected = first.collect_fused(1, kForward);
  for (const Schedule& schedule : simt::all_schedules()) {
    RolloutSide<Acrobot, Bf16Policy<Acrobot>> side(c);
    const RolloutResult got = side.collect_fused(2, schedule);
    EXPECT_TRUE(same_bits(expected.extra, got.extra)) << schedule.name();
    EXPECT_TRUE(same_bits(expected.obs, got.obs)) << schedule.name();
  }
}

TEST(FusedRolloutBf16, OddNumbersOfEnvironments) {
  for (const int environments : {1, 31, 33, 257}) expect_close<MountainCar>({environments, 2}, 2, 2, kForward);
}

}  // namespace
}  // namespace stampede
