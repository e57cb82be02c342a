// SPDX-License-Identifier: Apache-2.0
#include "train/seed_band.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cli/band_figure.h"

namespace stampede {
namespace {

TEST(SeedBand, IsTheMeanOfPointsUpToTheShortestCurve) {
  const SeedBand band = band_of_seeds({{{10, 20, 30}, {1, 5, 9}}, {{12, 22}, {3, 5}}});
  EXPECT_EQ(band.x, (std::vector<double>{11, 21}));
  EXPECT_EQ(band.mean, (std::vector<double>{2, 5}));
  EXPECT_EQ(band.low, (std::vector<double>{1, 5}));
  EXPECT_EQ(band.high, (std::vector<double>{3, 5}));
}

TEST(SeedBand, OneSeedHasNoWidth) {
  const SeedBand band = band_of_seeds({{{1, 2}, {7, 8}}});
  EXPECT_EQ(band.low, band.mean);
  EXPECT_EQ(band.high, band.mean);
}

// The mean of n values of variance v has a 95 % interval of about 1.96 sqrt(v / n) to each side.
TEST(SeedBand, HasTheWidthOfTheMeansDeviation) {
  std::vector<Curve> curves;
  double squares = 0.0;
  constexpr int kSeeds = 40;
  for (int k = 0; k < kSeeds; ++k) {
    const double value = std::sin(7.0 * k);
    curves.push_back({{1}, {value}});
    squares += value * value;
  }
  const SeedBand band = band_of_seeds(curves), again = band_of_seeds(curves);
  const double expected = 1.96 * std::sqrt(squares / kSeeds / kSeeds);
  EXPECT_NEAR(band.high[0] - band.mean[0], expected, 0.15 * expected);
  EXPECT_NEAR(band.mean[0] - band.low[0], expected, 0.15 * expected);
  EXPECT_EQ(band.low, again.low);
}

TEST(BandFigure, DrawsEveryBandWithItsName) {
  const SeedBand band = band_of_seeds({{{10, 20}, {1, 5}}, {{12, 22}, {3, 5}}});
  const std::string script = band_figure_script({{"rainbow", 2, band}, {"without noise", 2, band}}, "svg");
  EXPECT_NE(script.find("title 'rainbow'"), std::string::npos) << script;
  EXPECT_NE(script.find("title 'without noise'"), std::string::npos);
  EXPECT_NE(script.find("\n11 2 1 3\n"), std::string::npos);
  EXPECT_NE(script.find("over 2 seeds"), std::string::npos);
}

}  // namespace
}  // namespace stampede
