// SPDX-License-Identifier: Apache-2.0
#include "train/learning_curve.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/atomic_file.h"

namespace stampede {
namespace {

Curve line(std::size_t points) {
  Curve curve;
  for (std::size_t i = 0; i < points; ++i) {
    curve.x.push_back(static_cast<double>(10 * i));
    curve.y.push_back(static_cast<double>(i));
  }
  return curve;
}

TEST(LearningCurve, ReadsOneColumn) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.csv";
  write_file_atomically(path, "env_step,a,b\n1,2,3\n2,,5\r\n3,1e3,\n4,5,6\n5,7");
  EXPECT_EQ(read_curve(path, "a").x, (std::vector<double>{1, 3, 4}));
  EXPECT_EQ(read_curve(path, "a").y, (std::vector<double>{2, 1000, 5}));
  EXPECT_EQ(read_curve(path, "b").x, (std::vector<double>{1, 2, 4}));
  EXPECT_EQ(read_curve(path, "b").y, (std::vector<double>{3, 5, 6}));
}

TEST(LearningCurve, NamesFileAndLineOfBadInput) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.csv";
  write_file_atomically(path, "env_step,a\n1,2\n2,two\n");
  try {
    read_curve(path, "a");
    FAIL() << "accepted";
  } catch (const RuntimeError& error) {
    EXPECT_EQ(std::string(error.what()), path + ":3: 'two' is not a number");
  }
  EXPECT_THROW(read_curve(path, "missing"), RuntimeError);
  EXPECT_THROW(read_curve(folder / "missing.csv", "a"), RuntimeError);
  write_file_atomically(path, "");
  EXPECT_THROW(read_curve(path, "a"), RuntimeError);
}

TEST(LearningCurve, MovingMeanLooksBack) {
  const Curve mean = moving_mean(line(5), 3);
  EXPECT_EQ(mean.y, (std::vector<double>{0, 0.5, 1, 2, 3}));
  EXPECT_EQ(mean.x, line(5).x);
  EXPECT_EQ(moving_mean(line(33), 1).y, line(33).y);
  EXPECT_TRUE(moving_mean({}, 100).y.empty());
}

TEST(LearningCurve, ThinningKeepsTheLastPoint) {
  EXPECT_EQ(thinned(line(31), 31).y, line(31).y);
  const Curve thin = thinned(line(257), 33);
  ASSERT_EQ(thin.y.size(), 33u);
  EXPECT_EQ(thin.y.back(), 256.0);
  EXPECT_EQ(thin.x.back(), 2560.0);
  for (std::size_t i = 1; i < thin.y.size(); ++i) EXPECT_NEAR(thin.y[i] - thin.y[i - 1], 257.0 / 33.0, 1.0);
  EXPECT_EQ(thinned(line(257), 1).y, (std::vector<double>{256}));
}

}  // namespace
}  // namespace stampede
