// SPDX-License-Identifier: Apache-2.0
// The kernels of fused policy updates under the emulator against the stepwise update on the CPU.
#include "tests/emulator/fused_update_rig.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::Schedule;

const PpoLossConfig kClip{0.2f, 0.0f, 0.01f, 0.5f};

std::vector<float> values(View<float> view) { return {view.data, view.data + view.size()}; }

// The largest difference, relative to the largest value.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    difference = apart <= difference ? difference : apart;  // NaN counts as largest
    largest = std::max(largest, std::abs(static_cast<double>(a[i])));
  }
  return difference / largest;
}

void expect_same_learners(FusedUpdateRig& rig, const std::string& where) {
  const LearnerState& expected = *rig.stepwise().network().state();
  const LearnerState& state = *rig.fused().network().state();
  EXPECT_EQ(state.step, expected.step) << where;
  EXPECT_EQ(state.stop, expected.stop) << where;
  EXPECT_EQ(state.failed, expected.failed) << where;
  EXPECT_NEAR(state.gradient_norm, expected.gradient_norm, 1e-5f * expected.gradient_norm) << where;
  EXPECT_LT(
      distance(values(rig.stepwise().network().gradient_block(1)), values(rig.fused().network().gradient_block(1))),
      1e-5)
      << where;
  EXPECT_LT(
      distance(values(rig.stepwise().network().parameter_block()), values(rig.fused().network().parameter_block())),
      1e-5)
      << where;
}

TEST(FusedPolicyUpdate, GivesTheStepwiseGradient) {
  FusedUpdateRig rig({.name = "two towers"});
  EXPECT_EQ(rig.learn_fused(kClip, {}), 4);
  rig.learn_stepwise(kClip);
  expect_same_learners(rig, "");
}

}  // namespace
}  // namespace stampede
