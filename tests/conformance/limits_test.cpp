// SPDX-License-Identifier: Apache-2.0
// The limits that environments' tables state, each from both sides; recorded trajectories pass few of them.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "sim/single_env.h"
#include "tests/conformance/env_run.h"

namespace stampede {
namespace {

EnvRow step_from(const char* id, const std::vector<double>& state, double action) {
  const EnvRegistry registry = builtin_environments();
  SingleEnv env(registry.find(id), {}, 1, Stream::cpu());
  env.set_state(state, 0);
  return env.step({&action, 1});
}

TEST(Limits, CartPoleEndsAtEitherSideOfPositionAndAngle) {
  constexpr double kAngle = 0.20943951;
  for (const double side : {-1.0, 1.0}) {
    EXPECT_TRUE(step_from("CartPole-v1", {side * 2.399, side, 0, 0}, 0).terminated) << side;
    EXPECT_FALSE(step_from("CartPole-v1", {side * 2.37, side, 0, 0}, 0).terminated) << side;
    EXPECT_TRUE(step_from("CartPole-v1", {0, 0, side * (kAngle - 0.001), side}, 0).terminated) << side;
    EXPECT_FALSE(step_from("CartPole-v1", {0, 0, side * (kAngle - 0.03), side}, 0).terminated) << side;
  }
}

// Which way a fast pair of links turns next is hard to say, so several are tried.
TEST(Limits, AcrobotsSpeedsAreClipped) {
  const float limit[2] = {4.0f * kPi, 9.0f * kPi};
  int clipped[2][2] = {};  // by joint and side
  for (int first = -20; first <= 20; first += 5) {
    for (int second = -40; second <= 40; second += 10) {
      const double start_first = first, start_second = second;
      const EnvRow row = step_from("Acrobot-v1", {0, 0, start_first, start_second}, 1);
      for (const std::size_t joint : {0u, 1u}) {
        const auto speed = static_cast<float>(row.state[2 + joint]);
        ASSERT_LE(std::abs(speed), limit[joint]) << "from " << first << ", " << second;
        if (std::abs(speed) == limit[joint]) ++clipped[joint][speed > 0.0f ? 1 : 0];
        EXPECT_LE(std::abs(row.state[joint]), 3.1415928);
      }
    }
  }
  for (const auto& joint : clipped) EXPECT_TRUE(joint[0] > 0 && joint[1] > 0);
}

TEST(Limits, MountainCarsHaveASpeedLimitAndAWall) {
  for (const char* id : {"MountainCar-v0", "MountainCarContinuous-v0"}) {
    for (const double side : {-1.0, 1.0}) {
      const EnvRow row = step_from(id, {-0.5, side * 0.2}, 0);
      EXPECT_FLOAT_EQ(static_cast<float>(row.state[1]), static_cast<float>(side) * 0.07f) << id;
    }
    const EnvRow wall = step_from(id, {-1.19, -0.05}, 0);
    EXPECT_FLOAT_EQ(static_cast<float>(wall.state[0]), -1.2f) << id;
    EXPECT_EQ(wall.state[1], 0.0) << id;
    const EnvRow hill = step_from(id, {0.59, 0.06}, 0);
    EXPECT_FLOAT_EQ(static_cast<float>(hill.state[0]), 0.6f) << id;
    EXPECT_GT(hill.state[1], 0.0) << id << ": the hill's end is no wall";
  }
}

TEST(Limits, PendulumsSpeedIsClipped) {
  for (const double side : {-1.0, 1.0}) {
    EXPECT_EQ(step_from("Pendulum-v1", {0, side * 12}, side * 2).state[1], side * 8.0);
  }
}

// Uniform in [-torque_noise_max, torque_noise_max): on a resting pair of links it drives either way as often.
TEST(Limits, AcrobotsTorqueNoiseHasTwoSides) {
  constexpr int kLanes = 2048;
  EnvRun run(
      "Acrobot-v1",
      {.size = kLanes, .rows = 1, .parameters = {{"torque_noise_max", "1"}, {"reset_low", "0"}, {"reset_high", "0"}}});
  run.reset();
  for (int i = 0; i < kLanes; ++i) run.set_action(0, i, 1);
  run.step(0);
  double sum = 0.0, largest = 0.0;
  for (int i = 0; i < kLanes; ++i) {
    const double speed = bits_float(run.obs(1, i)[5]);
    sum += speed;
    largest = std::max(largest, std::abs(speed));
  }
  EXPECT_GT(largest, 0.0);
  EXPECT_LT(std::abs(sum / kLanes), 0.1 * largest);  // 4.5 deviations of the mean are 0.06
}

}  // namespace
}  // namespace stampede
