// SPDX-License-Identifier: Apache-2.0
// Tile coding, Fourier features and the counting grid.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kernels/philox.h"
#include "tests/unit/td_rig.h"

namespace stampede {
namespace {

UnitScale unit(int size) {
  UnitScale scale;
  scale.size = size;
  for (int d = 0; d < size; ++d) scale.inverse_range[d] = 1.0f;
  return scale;
}

TileCoding tile_coding(int size, int tilings, int tiles, bool bias) {
  TileCoding coding{unit(size), tilings, tiles, bias, 1.0f / static_cast<float>(tilings)};
  coding.inverse_active = 1.0f / static_cast<float>(coding.active());
  return coding;
}

std::vector<Feature> features_at(const TileCoding& coding, const std::vector<float>& x) {
  std::vector<std::uint32_t> obs;
  for (const float value : x) obs.push_back(float_bits(value));
  std::vector<Feature> features;
  for (int k = 0; k < coding.active(); ++k) features.push_back(coding.at(obs.data(), k));
  return features;
}

TEST(TileCoding, HasOneTilePerTilingAndABias) {
  for (const int tilings : {1, 2, 8, 32}) {
    for (const bool bias : {false, true}) {
      const TileCoding coding = tile_coding(2, tilings, 7, bias);
      for (const float x : {0.0f, 0.31f, 0.999f, 1.0f, 7.0f, -3.0f}) {
        std::set<int> indices;
        for (const Feature& f : features_at(coding, {x, 1.0f - x})) {
          EXPECT_EQ(f.value, 1.0f);
          EXPECT_GE(f.index, 0);
          EXPECT_LT(f.index, coding.size());
          indices.insert(f.index);
        }
        EXPECT_EQ(indices.size(), static_cast<std::size_t>(tilings + bias));
        EXPECT_EQ(indices.contains(coding.size() - 1) && bias, bias);
      }
    }
  }
}

// 8 tilings of 4 tiles: moving by a quarter of a tile changes two of them, by a tile all.
TEST(TileCoding, NeighboursShareTiles) {
  const TileCoding coding = tile_coding(1, 8, 4, false);
  const auto shared = [&](float a, float b) {
    int count = 0;
    const auto of_a = features_at(coding, {a}), of_b = features_at(coding, {b});
    for (std::size_t k = 0; k < of_a.size(); ++k) count += of_a[k].index == of_b[k].index;
    return count;
  };
  EXPECT_EQ(shared(0.51f, 0.51f + 0.0625f), 6);
  EXPECT_EQ(shared(0.51f, 0.51f + 0.125f), 4);
  EXPECT_EQ(shared(0.51f, 0.51f + 0.25f), 0);
}

// Displacement (1, 3): tiling k is shifted by k / 8 of a tile in the first dimension and 3 k / 8 in the second.
TEST(TileCoding, TilingsAreDisplacedByOddNumbers) {
  const TileCoding coding = tile_coding(2, 8, 8, false);
  const auto features = features_at(coding, {0.5f, 0.5f});
  for (int k = 0; k < 8; ++k) {
    const int row = static_cast<int>(4.0 + k / 8.0), column = static_cast<int>(4.0 + 3 * k % 8 / 8.0);
    EXPECT_EQ(features[static_cast<std::size_t>(k)].index, (k * 9 + row) * 9 + column) << k;
  }
}

// The learning rate is the share of the error that one update removes, whatever the number of tilings.
TEST(TileCoding, TheRateIsSharedAmongTilings) {
  for (const bool bias : {false, true}) {
    TdRig rig({.gamma = 0.9f, .initial_value = 2.0f}, tile_coding(1, 8, 4, bias));
    rig.rates.learning_rate = 0.5f;
    rig.episode(0.4f, {{0, 6.0f, 0.9f}}, kTerminated);
    double value = 0, other = 0;
    for (const Feature& f : features_at(tile_coding(1, 8, 4, bias), {0.4f})) {
      value += rig.q(f.index, 0);
      other += rig.q(f.index, 1);
    }
    EXPECT_NEAR(value, 4.0, 1e-5);
    EXPECT_NEAR(other, 2.0, 1e-5);
  }
}

// The same transitions make the same values and the same choices, bit for bit.
TEST(TileCoding, OneTilingIsATable) {
  for (const TdConfig& config :
       {TdConfig{.gamma = 0.9f}, TdConfig{.target = TdTarget::kSampled, .gamma = 0.9f, .n_step = 3},
        TdConfig{.target = TdTarget::kExpected, .gamma = 0.9f, .initial_value = 1.0f},
        TdConfig{.gamma = 0.9f, .lambda = 0.7f}, TdConfig{.gamma = 0.9f, .double_q = true}}) {
    TdRig table(config), tiles(config, tile_coding(1, 1, 8, false));
    const RandomKey key{5, 0, Purpose::kReplaySample};
    table.rates = tiles.rates = {.epsilon = 0.2f, .learning_rate = 0.3f};
    for (std::uint32_t row = 0; row < 500; ++row) {
      const PhiloxBlock draw = key.block(row, 0);
      const auto state = static_cast<float>(uniform_below(draw.word[0], 8));
      table.observe(state);
      tiles.observe((state + 0.5f) / 8.0f);
      ASSERT_EQ(table.chosen(), tiles.chosen()) << row;
      const float reward = uniform_float(draw.word[1]);
      const std::uint32_t end = row % 9 == 7 ? (row % 2 ? kTerminated : kTruncated) : 0;
      const std::uint32_t flags = row % 9 == 8 ? 0 : kValid | end;
      table.happen(reward, flags);
      tiles.happen(reward, flags);
    }
    for (int s = 0; s < 8; ++s) {
      for (int a = 0; a < TdRig::kActions; ++a) EXPECT_EQ(table.q(s, a), tiles.q(s, a)) << s << a;
    }
    EXPECT_NE(table.q(3, 0), 0.0f);
  }
}

TEST(FourierBasis, CosinesAndTheirRates) {
  const FourierBasis basis{unit(2), 2};
  EXPECT_EQ(basis.size(), 9);
  const std::uint32_t obs[] = {float_bits(0.25f), float_bits(0.5f)};
  for (int k = 0; k < 9; ++k) {
    const double c0 = k % 3, c1 = k / 3;
    const double pi = std::acos(-1.0), norm = std::sqrt(c0 * c0 + c1 * c1);
    EXPECT_EQ(basis.at(obs, k).index, k);
    EXPECT_NEAR(basis.at(obs, k).value, std::cos(pi * (c0 * 0.25 + c1 * 0.5)), 1e-6) << k;
    EXPECT_NEAR(basis.rate(k), norm > 0 ? 1 / norm : 1.0, 1e-6) << k;
  }
}

TEST(FourierBasis, LearnsASlope) {
  TdRig rig({.gamma = 0.0f}, FourierBasis{unit(1), 3});
  rig.rates.learning_rate = 0.2f;
  for (int k = 0; k < 3000; ++k) {
    const float x = static_cast<float>(k * 7 % 33) / 32.0f;
    rig.episode(x, {{0, x, 0.5f}}, kTerminated);
  }
  const FourierBasis basis{unit(1), 3};
  for (const float x : {0.1f, 0.5f, 0.9f}) {
    const std::uint32_t obs = float_bits(x);
    double value = 0;
    for (int k = 0; k < basis.size(); ++k) value += rig.q(k, 0) * basis.at(&obs, k).value;
    EXPECT_NEAR(value, x, 0.05);
  }
}

TEST(CountCells, AreAlmostDistinctOnAGrid) {
  const CountCells cells{unit(2), 4096, 16};
  std::set<int> seen;
  for (int x = 0; x < 16; ++x) {
    for (int y = 0; y < 16; ++y) {
      const std::uint32_t obs[] = {float_bits((x + 0.5f) / 16), float_bits((y + 0.5f) / 16)};
      const int cell = cells.at(obs);
      ASSERT_GE(cell, 0);
      ASSERT_LT(cell, 4096);
      seen.insert(cell);
    }
  }
  EXPECT_GE(seen.size(), 240u) << "of 256";
}

}  // namespace
}  // namespace stampede
