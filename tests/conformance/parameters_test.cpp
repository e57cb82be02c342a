// SPDX-License-Identifier: Apache-2.0
// Parameters do what their names say: units of mass, length and time may change, motion may not; starts keep to their
// ranges. Gymnasium's recordings, which other tests replay, are of default parameters but for a few.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "sim/single_env.h"
#include "tests/conformance/env_run.h"

namespace stampede {
namespace {

std::vector<EnvRow> play(const char* id, const EnvParameters& parameters, const std::vector<double>& start,
                         const std::vector<double>& actions) {
  const EnvRegistry registry = builtin_environments();
  SingleEnv env(registry.find(id), parameters, 1, Stream::cpu());
  std::vector<EnvRow> rows{env.set_state(start, 0)};
  for (const double action : actions) rows.push_back(env.step({&action, 1}));
  return rows;
}

// scale[k]: by how much state variable k of `changed` is larger.
void expect_same_motion(const std::vector<EnvRow>& plain, const std::vector<EnvRow>& changed,
                        const std::vector<double>& scale) {
  ASSERT_EQ(plain.size(), changed.size());
  for (std::size_t t = 0; t < plain.size(); ++t) {
    for (std::size_t k = 0; k < scale.size(); ++k) {
      const double expected = plain[t].state[k] * scale[k];
      ASSERT_NEAR(changed[t].state[k], expected, 2e-4 * (std::abs(expected) + 0.1)) << "t " << t << " variable " << k;
    }
  }
}

TEST(Parameters, CartPoleDoesNotKnowTheUnitsOfMassAndLength) {
  const std::vector<double> actions{1, 1, 0, 1, 0, 0, 0, 1, 1, 0};
  const auto plain = play("CartPole-v1", {}, {0.1, 0.2, 0.05, -0.1}, actions);
  const auto heavy = play("CartPole-v1", {{"masscart", "3"}, {"masspole", "0.3"}, {"force_mag", "30"}},
                          {0.1, 0.2, 0.05, -0.1}, actions);
  expect_same_motion(plain, heavy, {1, 1, 1, 1});
  const auto large =
      play("CartPole-v1", {{"length", "1"}, {"gravity", "19.6"}, {"force_mag", "20"}}, {0.2, 0.4, 0.05, -0.1}, actions);
  expect_same_motion(plain, large, {2, 2, 1, 1});
  const auto slow = play("CartPole-v1", {{"tau", "0.04"}, {"gravity", "2.45"}, {"force_mag", "2.5"}},
                         {0.1, 0.1, 0.05, -0.05}, actions);
  expect_same_motion(plain, slow, {1, 0.5, 1, 0.5});
}

TEST(Parameters, SemiImplicitStepsUseTheNewSpeeds) {
  for (const bool semi : {false, true}) {
    const EnvParameters parameters{{"semi_implicit", semi ? "true" : "false"}};
    const EnvRow row = play("CartPole-v1", parameters, {0, 1, 0, 1}, {1})[1];
    EXPECT_FLOAT_EQ(static_cast<float>(row.state[0]), 0.02f * static_cast<float>(semi ? row.state[1] : 1.0));
    EXPECT_FLOAT_EQ(static_cast<float>(row.state[2]), 0.02f * static_cast<float>(semi ? row.state[3] : 1.0));
    EXPECT_GT(std::abs(row.state[1] - 1.0), 0.1);
    EXPECT_GT(std::abs(row.state[3] - 1.0), 0.1);
  }
}

// Without torque, whose unit is fixed.
TEST(Parameters, AcrobotDoesNotKnowTheUnitsOfMassAndLength) {
  const std::vector<double> start{0.5, -0.8, 0.3, 0.4}, actions(12, 1.0);
  const auto plain = play("Acrobot-v1", {{"link_mass_2", "1.5"}, {"link_com_pos_2", "0.6"}}, start, actions);
  const auto heavy =
      play("Acrobot-v1", {{"link_mass_1", "2"}, {"link_mass_2", "3"}, {"link_com_pos_2", "0.6"}, {"link_moi", "2"}},
           start, actions);
  expect_same_motion(plain, heavy, {1, 1, 1, 1});
  const auto large = play("Acrobot-v1",
                          {{"link_mass_2", "1.5"},
                           {"link_length_1", "2"},
                           {"link_com_pos_1", "1"},
                           {"link_com_pos_2", "1.2"},
                           {"link_moi", "4"},
                           {"gravity", "19.6"}},
                          start, actions);
  expect_same_motion(plain, large, {1, 1, 1, 1});
  const auto slow =
      play("Acrobot-v1", {{"link_mass_2", "1.5"}, {"link_com_pos_2", "0.6"}, {"dt", "0.4"}, {"gravity", "2.45"}},
           {0.5, -0.8, 0.15, 0.2}, actions);
  expect_same_motion(plain, slow, {1, 1, 0.5, 0.5});
}

TEST(Parameters, PendulumDoesNotKnowTheUnitsOfMassAndLength) {
  const std::vector<double> actions{2, -1, 0.5, 2, 2, -2, 1, 0, 1, 2};
  const auto plain = play("Pendulum-v1", {}, {1, 0.5}, actions);
  expect_same_motion(plain, play("Pendulum-v1", {{"l", "2"}, {"g", "20"}, {"m", "0.25"}}, {1, 0.5}, actions), {1, 1});
  const auto strong = play("Pendulum-v1", {{"dt", "0.1"}, {"g", "2.5"}, {"m", "4"}}, {1, 0.25}, actions);
  expect_same_motion(plain, strong, {1, 0.5});
}

TEST(Parameters, CarsFeelForceAndGravity) {
  const EnvRow plain = play("MountainCar-v0", {}, {-0.5, 0.01}, {2})[1];
  const EnvRow pushed = play("MountainCar-v0", {{"force", "0.003"}}, {-0.5, 0.01}, {2})[1];
  EXPECT_NEAR(pushed.state[1] - plain.state[1], 0.002, 1e-7);
  const EnvRow powerful = play("MountainCarContinuous-v0", {{"power", "0.003"}}, {-0.5, 0.01}, {0.5})[1];
  const EnvRow weak = play("MountainCarContinuous-v0", {{"power", "0.001"}}, {-0.5, 0.01}, {0.5})[1];
  EXPECT_NEAR(powerful.state[1] - weak.state[1], 0.001, 1e-7);
  for (const char* id : {"MountainCar-v0", "MountainCarContinuous-v0"}) {
    const double idle = id[11] == '-' ? 1 : 0;  // the action that pushes neither way
    EXPECT_NEAR(play(id, {{"gravity", "0"}}, {-0.2, 0.01}, {idle})[1].state[1], 0.01, 1e-8) << id;
    EXPECT_TRUE(play(id, {}, {0.48, 0.05}, {idle})[1].terminated) << id;
    EXPECT_FALSE(play(id, {{"goal_velocity", "0.06"}}, {0.48, 0.05}, {idle})[1].terminated) << id;
  }
}

struct Range {
  double low, high;  // [low, high); equal for a constant
};

void expect_starts(const char* id, const EnvParameters& parameters, const std::vector<Range>& ranges) {
  constexpr int kLanes = 257;
  EnvRun run(id, {.size = kLanes, .parameters = parameters});
  run.reset();
  std::vector<double> lowest(ranges.size(), 1e9), highest(ranges.size(), -1e9);
  for (int i = 0; i < kLanes; ++i) {
    const std::vector<double> state = run.env().state(run.stream(), i);
    for (std::size_t k = 0; k < ranges.size(); ++k) {
      lowest[k] = std::min(lowest[k], state[k]);
      highest[k] = std::max(highest[k], state[k]);
    }
  }
  for (std::size_t k = 0; k < ranges.size(); ++k) {
    const double width = ranges[k].high - ranges[k].low;
    EXPECT_NEAR(lowest[k], ranges[k].low, 0.1 * width) << id << " variable " << k;
    EXPECT_NEAR(highest[k], ranges[k].high, 0.1 * width) << id << " variable " << k;
    EXPECT_GE(lowest[k], ranges[k].low - 1e-6) << id << " variable " << k;
    EXPECT_LE(highest[k], ranges[k].high + 1e-6) << id << " variable " << k;
  }
}

TEST(Parameters, StartsBeginBelowTheirEnd) {
  const EnvRegistry registry = builtin_environments();
  for (const char* id : {"CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0"}) {
    const EnvEntry& entry = registry.find(id);
    EXPECT_NO_THROW(entry.resolve({{"reset_low", "0.2"}, {"reset_high", "0.2"}})) << id;
    EXPECT_THROW(entry.resolve({{"reset_low", "0.3"}, {"reset_high", "0.2"}}), UsageError) << id;
    EXPECT_THROW(entry.resolve({{"reset_high", "-0.7"}}), UsageError) << id;  // below the default's lower end
  }
}

TEST(Parameters, StartsFillTheirRanges) {
  const EnvParameters between{{"reset_low", "-0.25"}, {"reset_high", "0.5"}};
  const Range range{-0.25, 0.5};
  for (const char* id : {"CartPole-v1", "Acrobot-v1"}) expect_starts(id, between, {range, range, range, range});
  for (const char* id : {"MountainCar-v0", "MountainCarContinuous-v0"}) expect_starts(id, between, {range, {0, 0}});
  expect_starts("Pendulum-v1", {{"x_init", "0.5"}, {"y_init", "3"}}, {{-0.5, 0.5}, {-3, 3}});
}

}  // namespace
}  // namespace stampede
