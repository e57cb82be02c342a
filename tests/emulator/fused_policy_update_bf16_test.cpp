// SPDX-License-Identifier: Apache-2.0
// Policy updates on tensor cores under the emulator: gradients close to fp32, losses exactly those of a bf16 rollout.
#include "tests/emulator/fused_rollout_rig.h"
#include "tests/emulator/fused_update_rig.h"

#include <gtest/gtest.h>

#include "environments/environment_types.h"
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

// bf16 keeps eight bits: 2^-9 of a factor is lost at most. A gradient is a chain of up to five rounded factors, whose
// errors are independent, so that some 2^-9 sqrt(5) = 0.0044 of it is expected, and more where rows cancel.
constexpr double kGradientBound = 0.02;

TEST(FusedPolicyUpdateBf16, GradientsAreCloseToFp32) {
  for (const FusedCase& setup : cases()) {
    FusedUpdateRig expected(setup);
    expected.learn_stepwise(kClippedLoss);
    std::vector<float> first;
    for (const Schedule& schedule : some_schedules()) {
      FusedUpdateRig rig(setup);
      rig.learn_fused(kClippedLoss, schedule);
      const std::string where = setup.name + ", " + schedule.name();
      const TrainableNetwork &a = expected.stepwise().network(), &b = rig.fused().network();
      EXPECT_EQ(b.state()->step, a.state()->step) << where;
      EXPECT_EQ(b.state()->failed, 0) << where;
      const double error = relative_error(a.gradient_block(1), b.gradient_block(1));
      EXPECT_LT(error, kGradientBound) << where;
      std::printf("%-50s %.5f\n", where.c_str(), error);
      if (first.empty()) first = learner_bits(rig.fused().network());
      EXPECT_TRUE(simt::same_bits(first, learner_bits(rig.fused().network()))) << where;
    }
  }
}

}  // namespace
}  // namespace stampede
