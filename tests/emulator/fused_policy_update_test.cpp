// SPDX-License-Identifier: Apache-2.0
// The kernels of fused policy updates under the emulator against the stepwise update on the CPU.
#include "tests/emulator/fused_update_rig.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::Schedule;

const PpoLossConfig kClip{0.2f, 0.0f, 0.01f, 0.5f};

// Gradient and parameters after the latest update, and what the learner knows of itself.
void expect_same_learners(FusedUpdateRig& expected, FusedUpdateRig& rig, const std::string& where) {
  const TrainableNetwork &a = expected.stepwise().network(), &b = rig.fused().network();
  EXPECT_EQ(b.state()->step, a.state()->step) << where;
  EXPECT_EQ(b.state()->stop, a.state()->stop) << where;
  EXPECT_EQ(b.state()->failed, a.state()->failed) << where;
  EXPECT_NEAR(b.state()->gradient_norm, a.state()->gradient_norm, 1e-4f * a.state()->gradient_norm) << where;
  EXPECT_LT(distance(a.gradient_block(1), b.gradient_block(1)), 2e-5) << where;
  EXPECT_LT(distance(a.parameter_block(), b.parameter_block()), 3e-5) << where;
}

void expect_same_metrics(const PolicyMetrics& expected, FusedUpdateRig& rig, const std::string& where) {
  const auto mean = [&](std::size_t k) { return rig.fused_totals()[k] / rig.fused_totals()[PolicyRowMetrics::kCount]; };
  EXPECT_NEAR(mean(PolicyRowMetrics::kPolicyLoss), expected.policy_loss, 1e-5) << where;
  EXPECT_NEAR(mean(PolicyRowMetrics::kValueLoss), expected.value_loss, 1e-5 * expected.value_loss) << where;
  EXPECT_NEAR(mean(PolicyRowMetrics::kEntropy), expected.entropy, 1e-5) << where;
  EXPECT_NEAR(mean(PolicyRowMetrics::kApproxKl), expected.approx_kl, 1e-5) << where;
  EXPECT_NEAR(mean(PolicyRowMetrics::kClipFraction), expected.clip_fraction, 1e-9) << where;
  const double target = mean(PolicyRowMetrics::kTarget), residual = mean(PolicyRowMetrics::kResidual);
  const double spread = mean(PolicyRowMetrics::kTargetSquared) - target * target;
  const double unexplained = mean(PolicyRowMetrics::kResidualSquared) - residual * residual;
  EXPECT_NEAR(spread > 0.0 ? 1.0 - unexplained / spread : 0.0, expected.explained_variance, 1e-4) << where;
}

Space box(int size) {
  Space space = Space::box<3>({-1, -1, -1}, {1, 1, 1});
  space.size = size;
  return space;
}

std::vector<FusedCase> all_cases() {
  using enum Activation;
  return {
      {.name = "two towers, tanh, 2 actions", .inputs = 4, .rows = 257, .minibatches = 2},
      {.name = "the same in whole tiles", .inputs = 4, .rows = 257, .minibatches = 2, .blocks = 6},
      {.name = "shared, ReLU, 6 actions",
       .shared_torso = true,
       .activation = kRelu,
       .action = Space::discrete(6),
       .inputs = 8,
       .rows = 33,
       .blocks = 3},
      {.name = "two towers, ReLU, Gaussian", .activation = kRelu, .action = box(1), .inputs = 3, .rows = 31},
      {.name = "shared, tanh, Gaussian of 3", .shared_torso = true, .action = box(3), .inputs = 1, .rows = 257},
      {.name = "two tiles of three to a block", .inputs = 4, .rows = 257, .blocks = 4},
      {.name = "128, five tiles to two blocks", .width = 128, .shared_torso = true, .rows = 257, .blocks = 2},
      {.name = "one row", .inputs = 2, .rows = 1},
      {.name = "128, two towers, tanh, 3 actions", .width = 128, .action = Space::discrete(3), .inputs = 6, .rows = 33},
      {.name = "128, half tiles, one of them full", .width = 128, .shared_torso = true, .rows = 65},
      {.name = "128, shared, ReLU, Gaussian of 2",
       .width = 128,
       .shared_torso = true,
       .activation = kRelu,
       .action = box(2),
       .inputs = 5,
       .rows = 257,
       .blocks = 8},
      {.name = "normalised, in order",
       .rows = 257,
       .permuted = false,
       .normalize = true,
       .scaling = AdvantageScaling::kNone},
      {.name = "centred, unclipped norm, RMSProp",
       .rows = 65,
       .scaling = AdvantageScaling::kCenter,
       .optimizer = {.kind = OptimizerKind::kRmsProp, .epsilon = 1e-5f}},
      {.name = "AdamW",
       .rows = 65,
       .optimizer = {.kind = OptimizerKind::kAdamW, .weight_decay = 0.01f, .max_norm = 1e-3f}},
  };
}

// Every case and schedule; a case with several updates also says what one update hands to the next.
TEST(FusedPolicyUpdate, IsTheStepwiseUpdate) {
  for (const FusedCase& setup : all_cases()) {
    FusedUpdateRig expected(setup);
    for (std::uint64_t epoch = 0; epoch < 2; ++epoch) expected.learn_stepwise(kClip, epoch);
    const PolicyMetrics metrics = expected.stepwise_metrics();
    std::vector<float> first;
    for (const Schedule& schedule : some_schedules()) {
      FusedUpdateRig rig(setup);
      int launches = 0;
      for (int epoch = 0; epoch < 2; ++epoch) launches += rig.learn_fused(kClip, schedule, epoch);
      EXPECT_EQ(launches, 2 * (1 + 3 * setup.minibatches));
      const std::string where = setup.name + ", " + schedule.name();
      expect_same_learners(expected, rig, where);
      expect_same_metrics(metrics, rig, where);
      if (first.empty()) first = learner_bits(rig.fused().network());
      EXPECT_TRUE(simt::same_bits(first, learner_bits(rig.fused().network()))) << where;
    }
  }
}

// Outputs have the bits of linear_forward(): then the metrics of a first update, which are sums over rows, agree in all
// but the order of these sums, and so does a loss of exactly the old values.
TEST(FusedPolicyUpdate, FirstRatioIsExactlyOne) {
  for (const int width : {64, 128}) {
    for (const int blocks : {2, kMostBlocks}) {  // whole tiles, half tiles
      FusedUpdateRig rig({.name = "", .width = width, .rows = 65, .blocks = blocks});
      rig.store_own_policy();
      rig.learn_fused(PpoLossConfig{}, {});
      EXPECT_EQ(rig.fused_totals()[PolicyRowMetrics::kApproxKl], 0.0) << width;
      EXPECT_EQ(rig.fused_totals()[PolicyRowMetrics::kClipFraction], 0.0) << width;
      EXPECT_GT(rig.fused_totals()[PolicyRowMetrics::kEntropy], 1.0) << width;
    }
  }
}

// Rows of the tiles, and blocks, of an update's gradient.
struct GradientGrid {
  int *rows, *grid;

  template <unsigned kThreads, unsigned kBlocksPerProcessor, class Kernel>
  void blocks(unsigned blocks, std::size_t, const Kernel&) const {
    if constexpr (requires { Kernel::Shape::kRows; }) {
      *rows = Kernel::Shape::kRows;
      *grid = static_cast<int>(blocks);
    }
  }
  template <class Functor>
  void each(int, const Functor&) const {}
};

// So many that every block has a half tile of its own, up to half as many whole tiles, of both towers, as
// multiprocessors. On tensor cores never.
TEST(FusedPolicyUpdate, HalvesTilesOfSmallMinibatches) {
  const auto grid_of = [](FusedCase setup) {
    FusedUpdateRig rig(setup);
    int rows = 0, grid = 0;
    rig.learn_fused_with(GradientGrid{&rows, &grid}, kClip);
    return std::pair(rows, grid);
  };
  EXPECT_EQ(grid_of({.name = "", .shared_torso = true, .rows = 66 * 128}), std::pair(64, 132));
  EXPECT_EQ(grid_of({.name = "", .shared_torso = true, .rows = 66 * 128 + 1}), std::pair(128, 67));
  EXPECT_EQ(grid_of({.name = "", .rows = 33 * 128}), std::pair(64, 132));
  EXPECT_EQ(grid_of({.name = "", .rows = 33 * 128 + 1}), std::pair(128, 68));
  EXPECT_EQ(grid_of({.name = "", .rows = 4 * 33 * 128, .minibatches = 4}), std::pair(64, 132));
  EXPECT_EQ(grid_of({.name = "", .width = 128, .rows = 33 * 64}), std::pair(32, 132));
  EXPECT_EQ(grid_of({.name = "", .width = 128, .rows = 33 * 64 + 1}), std::pair(64, 68));
  EXPECT_EQ(grid_of({.name = "", .rows = 257, .precision = Precision::kBf16}), std::pair(128, 6));
}

TEST(FusedPolicyUpdate, KnowsTheOtherLosses) {
  const FusedCase setup{.name = "", .action = Space::discrete(3), .rows = 33};
  const float kl_weight = 0.7f;
  const auto compare = [&](const auto& loss, const char* name) {
    FusedUpdateRig expected(setup), rig(setup);
    expected.learn_stepwise(loss);
    rig.learn_fused(loss, {});
    expect_same_learners(expected, rig, name);
    expect_same_metrics(expected.stepwise_metrics(), rig, name);
  };
  compare(PpoPenaltyLoss{&kl_weight, 0.02f, 0.4f, 0.1f, 0.15f}, "penalty");
  compare(PolicyGradientLoss{0.02f, 0.4f}, "policy gradient");
  compare(PpoLossConfig{0.1f, 0.1f, 0.0f, 1.0f}, "clipped values");
}

TEST(FusedPolicyUpdate, TargetKlStopsWithoutAStep) {
  const FusedCase setup{.name = "", .rows = 129, .minibatches = 3, .target_kl = 1e-3f};
  FusedUpdateRig expected(setup);
  expected.learn_stepwise(kClip);
  const PolicyMetrics metrics = expected.stepwise_metrics();
  for (const Schedule& schedule : some_schedules()) {
    FusedUpdateRig rig(setup);
    const std::vector<float> before = learner_bits(rig.fused().network());
    rig.learn_fused(kClip, schedule);
    EXPECT_EQ(rig.fused().network().state()->stop, 1);
    EXPECT_EQ(rig.fused().network().state()->step, 0);
    EXPECT_TRUE(simt::same_bits(before, learner_bits(rig.fused().network())));
    expect_same_metrics(metrics, rig, schedule.name());  // of the minibatch that stopped the others
  }
}

TEST(FusedPolicyUpdate, ANewIterationEndsAStop) {
  FusedUpdateRig rig({.name = "", .rows = 129, .minibatches = 3, .target_kl = 1e-3f});
  const auto count = [&] { return rig.fused_totals()[PolicyRowMetrics::kCount]; };
  rig.learn_fused(kClip, {});
  const double of_one_minibatch = count();
  rig.learn_fused(kClip, {});
  EXPECT_EQ(count(), of_one_minibatch);
  for (int iteration = 2; iteration < 4; ++iteration) {
    rig.begin();
    rig.learn_fused(kClip, {});
    EXPECT_EQ(count(), iteration * of_one_minibatch);
  }
  rig.learn_fused(kClip, {});  // once only
  EXPECT_EQ(count(), 3 * of_one_minibatch);
}

TEST(FusedPolicyUpdate, NonFiniteGradientFailsWithoutAStep) {
  for (const float bad : {NAN, INFINITY}) {
    FusedUpdateRig rig({.name = "", .rows = 33});
    rig.ring().extra(0)[RolloutExtra::kReturn] = bad;
    const std::vector<float> before = learner_bits(rig.fused().network());
    rig.learn_fused(kClip, {});
    rig.ring().extra(0)[RolloutExtra::kReturn] = 0.0f;
    rig.learn_fused(kClip, {});  // once failed, always
    EXPECT_EQ(rig.fused().network().state()->failed, 1);
    EXPECT_EQ(rig.fused().network().state()->step, 0);
    EXPECT_TRUE(simt::same_bits(before, learner_bits(rig.fused().network())));
  }
}

// One rollout and one launch for GAE beside what this counts.
TEST(FusedPolicyUpdate, AnIterationOfPpoIsFortyNineLaunches) {
  FusedUpdateRig rig({.name = "", .rows = 16, .minibatches = 4});
  EXPECT_EQ(rig.learn_fused(kClip, {}, 0, 4), 1 + 4 * 4 * 3);
}

TEST(FusedPolicyUpdate, DeclinesWhatItCannotHold) {
  const auto fits = [](std::vector<int> hidden, bool layer_norm, Space observation, Space action,
                       ContinuousPolicy continuous = ContinuousPolicy::kGaussian, bool shared = true) {
    ActorCriticConfig config;
    config.network.hidden = std::move(hidden);
    config.network.layer_norm = layer_norm;
    config.shared_torso = shared;
    config.continuous = continuous;
    const NetworkSpec spec = ActorCritic::network_spec(config, observation, action);
    return FusedPolicyUpdate::fits(spec, {action, spec.output_stride(), spec.head("policy").column,
                                          spec.head("value").column, nullptr, continuous});
  };
  const Space two = Space::discrete(2);
  EXPECT_TRUE(fits({64, 64}, false, box(3), two));
  EXPECT_TRUE(fits({128, 128}, false, box(3), box(3)));
  EXPECT_TRUE(fits({64, 64}, false, box(3), Space::discrete(8), ContinuousPolicy::kGaussian, false));
  EXPECT_FALSE(fits({64, 64}, false, box(3), Space::discrete(8)));  // and a value
  EXPECT_FALSE(fits({64, 64}, false, Space::discrete(16), two));    // one-hot
  EXPECT_FALSE(fits({64}, false, box(3), two));
  EXPECT_FALSE(fits({64, 64, 64}, false, box(3), two));
  EXPECT_FALSE(fits({64, 128}, false, box(3), two));
  EXPECT_FALSE(fits({256, 256}, false, box(3), two));
  EXPECT_FALSE(fits({64, 64}, true, box(3), two));
  EXPECT_FALSE(fits({64, 64}, false, box(3), box(2), ContinuousPolicy::kBeta));
}

// Two tiles in one block, seven outputs: every barrier has something to separate.
TEST(RemovedBarriers, OfFusedPolicyUpdates) {
  const auto launch = [](const Schedule& schedule) {
    FusedUpdateRig rig({.name = "", .shared_torso = true, .action = Space::discrete(6), .rows = 129, .blocks = 1});
    rig.learn_fused(kClip, schedule);
    std::vector<float> all = learner_bits(rig.fused().network());
    for (std::size_t k = 0; k < PolicyRowMetrics::kSize; ++k) all.push_back(static_cast<float>(rig.fused_totals()[k]));
    return all;
  };
  EXPECT_GT(simt::expect_barriers_are_needed(launch, "last_block.h"), 10u);
}

TEST(RemovedBarriers, OfHalfTilesOfPolicyUpdates) {
  const auto launch = [](const Schedule& schedule) {
    FusedUpdateRig rig({.name = "", .shared_torso = true, .action = Space::discrete(6), .rows = 65});
    rig.learn_fused(kClip, schedule);
    return learner_bits(rig.fused().network());
  };
  EXPECT_GT(simt::expect_barriers_are_needed(launch, "last_block.h"), 10u);
}

// What is asked for and cannot be had is an error that names the key, and not another algorithm.
TEST(FusedPolicyUpdate, IsRefusedOnACpu) {
  ActorCriticConfig config;
  config.fused = FusedUse::kAlways;
  const Space action = Space::discrete(2);
  Arena arena{Device{}};
  const auto network = std::make_shared<MlpNetwork>(ActorCritic::network_spec(config, box(3), action));
  try {
    ActorCritic(config, action, network, {.ring = {}, .updates = 4}, 1, Stream::cpu(), arena);
    FAIL() << "no error";
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("fused: needs device=cuda", 0), 0u) << error.what();
  }
}

}  // namespace
}  // namespace stampede
