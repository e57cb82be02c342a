// SPDX-License-Identifier: Apache-2.0
// Schedules over rows.
#include <gtest/gtest.h>

#include "train/dqn_keys.h"
#include "train/schedule.h"
#include "train/td_keys.h"

namespace stampede {
namespace {

TEST(Schedule, LinearReachesItsEndAndStaysThere) {
  const Schedule schedule{ScheduleKind::kLinear, 1.0, 0.05, 1000};
  EXPECT_DOUBLE_EQ(schedule.at(0), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(500), 0.525);
  EXPECT_NEAR(schedule.at(1000), 0.05, 1e-15);
  EXPECT_NEAR(schedule.at(1'000'000), 0.05, 1e-15);
}

TEST(Schedule, ExponentialMultipliesByTheSameFactor) {
  const Schedule schedule{ScheduleKind::kExponential, 1.0, 0.01, 100};
  EXPECT_DOUBLE_EQ(schedule.at(0), 1.0);
  EXPECT_NEAR(schedule.at(50), 0.1, 1e-12);
  EXPECT_NEAR(schedule.at(75) / schedule.at(50), schedule.at(50) / schedule.at(25), 1e-12);
  EXPECT_NEAR(schedule.at(200), 0.01, 1e-12);
  EXPECT_DOUBLE_EQ(schedule.last(), 0.01);
}

TEST(Schedule, ConstantIgnoresItsEnd) {
  const Schedule schedule{ScheduleKind::kConstant, 0.3, 0.0, 10};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.3);
  EXPECT_DOUBLE_EQ(schedule.at(10), 0.3);
  EXPECT_DOUBLE_EQ(schedule.last(), 0.3);
}

TEST(Schedule, NoRowsMeanTheEndAtOnce) {
  const Schedule schedule{ScheduleKind::kLinear, 1.0, 0.05, 0};
  EXPECT_NEAR(schedule.at(1), 0.05, 1e-15);
}

// With episodes, all rates of tabular learners follow them.
TEST(Schedule, OfTabularLearnersFollowsTheirEpisodes) {
  Config config;
  config.declare(tabular_keys());
  const ConfigKey common[] = {{.name = "total_steps", .type = ConfigType::kInteger, .default_text = "1000"},
                              {.name = "schedule_steps", .type = ConfigType::kInteger, .default_text = "0"}};
  config.declare(common);
  EXPECT_EQ(td_schedules(config).temperature.rows, 1000);
  config.set("episodes", "50", ConfigLayer::kCommandLine);
  config.set("epsilon_fraction", "0.5", ConfigLayer::kCommandLine);
  const TdSchedules schedules = td_schedules(config);
  EXPECT_EQ(schedules.epsilon.rows, 25);
  EXPECT_EQ(schedules.learning_rate.rows, 50);
  EXPECT_EQ(schedules.temperature.rows, 50);
}

// What a stochastic evaluation explores with is where the schedule ends.
TEST(Schedule, OfExplorationEndsAtItsLastValue) {
  Config config;
  config.declare(dqn_keys());
  const ConfigKey common[] = {{.name = "total_steps", .type = ConfigType::kInteger, .default_text = "1000"},
                              {.name = "schedule_steps", .type = ConfigType::kInteger, .default_text = "0"}};
  config.declare(common);
  config.set("epsilon_end", "0.03", ConfigLayer::kCommandLine);
  EXPECT_FLOAT_EQ(exploration_schedule(config).at_end().epsilon.shared, 0.03f);
  EXPECT_FLOAT_EQ(exploration_schedule(config).at(0, nullptr).epsilon.shared, 1.0f);
}

}  // namespace
}  // namespace stampede
