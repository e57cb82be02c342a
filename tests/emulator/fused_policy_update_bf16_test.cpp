// SPDX-License-Identifier: Apache-2.0
// Policy updates on tensor cores under the emulator: gradients close to fp32, losses exactly those of a bf16 rollout.
#include "tests/emulator/fused_rollout_rig.h"
#include "tests/emulator/fused_update_rig.h"

#include <gtest/gtest.h>

#include "environments/environment_types.h"
#include "tests/emulator/emulated_policy_update.h"
#include "tests/emulator/removed_barriers.h"
#include "train/fused/bf16_policy_blocks.h"

namespace stampede {
namespace {

using simt::Schedule;

const PpoLossConfig kClippedLoss{0.2f, 0.0f, 0.01f, 0.5f};

// The distance of two vectors, relative to the first one.
double relative_error(View<float> expected, View<float> got) {
  double error = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double e = static_cast<double>(expected[i]), apart = static_cast<double>(got[i]) - e;
    error += apart * apart;
    norm += e * e;
  }
  return std::sqrt(error / norm);
}

Space bounded(int size) {
  Space space = Space::box<3>({-1, -1, -1}, {1, 1, 1});
  space.size = size;
  return space;
}

std::vector<FusedCase> cases() {
  using enum Activation;
  std::vector<FusedCase> all = {
      {.name = "two towers, tanh, 2 actions", .inputs = 4, .rows = 257, .minibatches = 2},
      {.name = "shared, ReLU, 6 actions",
       .shared_torso = true,
       .activation = kRelu,
       .action = Space::discrete(6),
       .inputs = 7,
       .rows = 33},
      {.name = "two towers, ReLU, Gaussian", .activation = kRelu, .action = bounded(1), .inputs = 3, .rows = 31},
      {.name = "shared, tanh, Gaussian of 3", .shared_torso = true, .action = bounded(3), .inputs = 1, .rows = 257},
      {.name = "two tiles of three to a block", .inputs = 4, .rows = 257, .blocks = 4},
      {.name = "one row", .inputs = 2, .rows = 1},
      {.name = "128, three tiles to one block", .width = 128, .shared_torso = true, .rows = 257, .blocks = 1},
      {.name = "128, two towers, tanh, 3 actions", .width = 128, .action = Space::discrete(3), .inputs = 6, .rows = 33},
      {.name = "128, shared, ReLU, Gaussian of 2",
       .width = 128,
       .shared_torso = true,
       .activation = kRelu,
       .action = bounded(2),
       .inputs = 5,
       .rows = 129},
      {.name = "normalised, in order, centred",
       .rows = 257,
       .permuted = false,
       .normalize = true,
       .scaling = AdvantageScaling::kCenter},
  };
  for (FusedCase& c : all) c.precision = Precision::kBf16;
  return all;
}

// bf16 keeps eight bits: 2^-9 of a factor is lost at most. A gradient is a chain of up to five rounded factors with
// independent errors, so some 2^-9 sqrt(5) = 0.0044 of it. The largest that was seen is 0.021, of 27 valid rows with
// ReLU: a unit that rounding takes across zero, or a row across the clip range, weighs more where rows are few.
constexpr double kGradientBound = 0.03;

TEST(FusedPolicyUpdateBf16, GradientsAreCloseToFp32) {
  for (const FusedCase& setup : cases()) {
    FusedUpdateRig expected(setup);
    expected.learn_stepwise(kClippedLoss);
    std::vector<float> first;
    // Schedules matter to warps and barriers, not to heads: one case of either width has them all.
    const bool every = setup.blocks < kMostBlocks;
    for (const Schedule& schedule : every ? some_schedules() : std::vector<Schedule>{{simt::Order::kWarps, 0}}) {
      FusedUpdateRig rig(setup);
      EXPECT_EQ(rig.learn_fused(kClippedLoss, schedule), 1 + 3 * setup.minibatches);
      const std::string where = setup.name + ", " + schedule.name();
      const TrainableNetwork &a = expected.stepwise().network(), &b = rig.fused().network();
      EXPECT_EQ(b.state()->step, a.state()->step) << where;
      EXPECT_EQ(b.state()->failed, 0) << where;
      EXPECT_LT(relative_error(a.gradient_block(1), b.gradient_block(1)), kGradientBound) << where;
      if (first.empty()) first = learner_bits(rig.fused().network());
      EXPECT_TRUE(simt::same_bits(first, learner_bits(rig.fused().network()))) << where;
    }
  }
}

TEST(FusedPolicyUpdateBf16, KnowsTheOtherLosses) {
  const FusedCase setup{.name = "", .action = Space::discrete(3), .rows = 129, .precision = Precision::kBf16};
  const float kl_weight = 0.7f;
  const auto compare = [&](const auto& loss, const char* name) {
    FusedUpdateRig expected(setup), rig(setup);
    expected.learn_stepwise(loss);
    rig.learn_fused(loss, {});
    const View<float> gradient = expected.stepwise().network().gradient_block(1);
    EXPECT_LT(relative_error(gradient, rig.fused().network().gradient_block(1)), kGradientBound) << name;
  };
  compare(PpoPenaltyLoss{&kl_weight, 0.02f, 0.4f}, "penalty");
  compare(PolicyGradientLoss{0.02f, 0.4f}, "policy gradient");
}

TEST(FusedPolicyUpdateBf16, NonFiniteGradientFailsWithoutAStep) {
  for (const float bad : {NAN, INFINITY}) {
    FusedUpdateRig rig({.name = "", .rows = 33, .precision = Precision::kBf16});
    rig.ring().extra(0)[RolloutExtra::kReturn] = bad;
    const std::vector<float> before = learner_bits(rig.fused().network());
    rig.learn_fused(kClippedLoss, {});
    EXPECT_EQ(rig.fused().network().state()->failed, 1);
    EXPECT_TRUE(simt::same_bits(before, learner_bits(rig.fused().network())));
  }
}

// The first update of a bf16 rollout finds the log-probabilities and values that acting has stored, bit for bit: where
// they are the returns as well, no loss of values is left.
template <class E>
void expect_first_ratio_of_one(const RolloutCase& c) {
  SCOPED_TRACE(std::string(E::specs[0].id) + " " + c.name());
  RolloutSide<E, Bf16Policy<E>> side(c);
  side.collect_fused(1, {});
  float* const extra = side.ring().extra(0);
  for (int r = 0; r < c.environments * c.steps; ++r) {
    float* const row = extra + r * side.ring().shape().extra_size;
    row[RolloutExtra::kReturn] = row[RolloutExtra::kValue];
    row[RolloutExtra::kAdvantage] = static_cast<float>(r % 3);
  }
  const auto learn = [&](Precision precision) {
    EmulatedPolicyUpdate update(side.agent(), precision, 1);
    update.learn(side.ring().view(), {}, [](int) {});
    EXPECT_GT(update.total(PolicyRowMetrics::kCount), 0.0);
    return std::vector<double>{update.total(PolicyRowMetrics::kApproxKl), update.total(PolicyRowMetrics::kValueLoss)};
  };
  EXPECT_EQ(learn(Precision::kBf16), (std::vector<double>{0.0, 0.0}));
  EXPECT_NE(learn(Precision::kFp32)[1], 0.0);
}

TEST(FusedPolicyUpdateBf16, FirstRatioIsExactlyOne) {
  for (const int width : {64, 128}) {
    for (const bool shared : {true, false}) {
      const RolloutCase c{33, 4, {width, width}, shared ? Activation::kTanh : Activation::kRelu, shared, !shared};
      expect_first_ratio_of_one<CartPole>(c);
      expect_first_ratio_of_one<Acrobot>(c);
      expect_first_ratio_of_one<MountainCarContinuous>(c);
    }
  }
}

TEST(FusedPolicyUpdateBf16, DeclinesEightObservations) {
  const Space action = Space::discrete(2);
  const auto fits = [&](int inputs, Precision precision) {
    ActorCriticConfig config;
    config.network.hidden = {64, 64};
    Space observation = Space::box<1>({-10}, {10});
    observation.size = inputs;
    const NetworkSpec spec = ActorCritic::network_spec(config, observation, action);
    return FusedPolicyUpdate::fits(
        spec, {action, spec.output_stride(), spec.head("policy").column, spec.head("value").column, nullptr, {}},
        precision);
  };
  EXPECT_TRUE(fits(8, Precision::kFp32));
  EXPECT_TRUE(fits(7, Precision::kBf16));
  EXPECT_FALSE(fits(8, Precision::kBf16));
}

// Two tiles in one block, seven outputs: every barrier has something to separate.
TEST(RemovedBarriers, OfFusedPolicyUpdatesInBf16) {
  const auto launch = [](const Schedule& schedule) {
    FusedUpdateRig rig({.name = "",
                        .shared_torso = true,
                        .action = Space::discrete(6),
                        .rows = 129,
                        .blocks = 1,
                        .precision = Precision::kBf16});
    rig.learn_fused(kClippedLoss, schedule);
    std::vector<float> all = learner_bits(rig.fused().network());
    for (std::size_t k = 0; k < PolicyRowMetrics::kSize; ++k) all.push_back(static_cast<float>(rig.fused_totals()[k]));
    return all;
  };
  EXPECT_GT(simt::expect_barriers_are_needed(launch, "last_block.h"), 10u);
}

}  // namespace
}  // namespace stampede
