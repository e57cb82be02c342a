// SPDX-License-Identifier: Apache-2.0
// Schedules over rows.
#include <gtest/gtest.h>

#include "train/schedule.h"

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

}  // namespace
}  // namespace stampede
