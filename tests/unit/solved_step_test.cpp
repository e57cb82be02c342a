// SPDX-License-Identifier: Apache-2.0
#include "train/solved_step.h"

#include <gtest/gtest.h>

#include <limits>

namespace stampede {
namespace {

TEST(SolvedStep, NeedsTwoEvaluationsInARow) {
  SolvedStep solved(475);
  solved.note(10, 480);
  EXPECT_TRUE(solved.reached());
  solved.note(20, 474);
  EXPECT_FALSE(solved.reached());
  solved.note(30, 475);
  EXPECT_FALSE(solved.step());
  solved.note(40, 500);
  EXPECT_EQ(solved.step(), 30);
  solved.note(50, 100);
  EXPECT_FALSE(solved.reached());
  solved.note(60, 500);
  solved.note(70, 500);
  EXPECT_EQ(solved.step(), 30) << "the first time counts";
}

TEST(SolvedStep, GoesOnAfterAResume) {
  SolvedStep solved(475, 30);
  solved.note(40, 480);
  EXPECT_EQ(solved.step(), 30);
  EXPECT_EQ(SolvedStep(475, -1, 30).step(), 30);
}

TEST(SolvedStep, NeverWithoutAThreshold) {
  SolvedStep solved(-std::numeric_limits<double>::infinity());
  solved.note(10, 1);
  solved.note(20, 1);
  EXPECT_FALSE(solved.step());
  SolvedStep undefined(475);
  undefined.note(10, std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(undefined.reached());
}

}  // namespace
}  // namespace stampede
