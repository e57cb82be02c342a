// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 against Random123's known answers, and the streams drawn from it.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "kernels/philox.h"

namespace stampede {
namespace {

std::array<std::uint32_t, 4> words(const PhiloxBlock& b) { return {b.word[0], b.word[1], b.word[2], b.word[3]}; }

TEST(Philox, MatchesTheKnownAnswersOfRandom123) {
  using Block = std::array<std::uint32_t, 4>;
  EXPECT_EQ(words(philox4x32(0, 0, 0, 0, 0, 0)), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(words(philox4x32(kOnes, kOnes, kOnes, kOnes, kOnes, kOnes)),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(philox4x32(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0)),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, FourNeighbouringLanesShareABlock) {
  const RandomKey key{42, std::uint64_t{3} << 33, Purpose::kAction};
  for (std::uint32_t lane = 0; lane < 33; ++lane) {
    EXPECT_EQ(key.lane_word(lane, 5), key.block(lane / 4, 5).word[lane % 4]) << lane;
  }
}

TEST(Philox, RngDrawsBlockAfterBlock) {
  const RandomKey key{7, 11, Purpose::kEnvironmentReset};
  Rng rng(key, 257);
  for (std::uint32_t k = 0; k < 9; ++k) EXPECT_EQ(rng.next_word(), key.block(257, k / 4).word[k % 4]) << k;
}

// Blocks of different purposes, rows, indices, draws and seeds are all different: 128 bits do not collide by chance.
TEST(Philox, StreamsDoNotOverlap) {
  std::set<std::array<std::uint32_t, 4>> seen;
  int drawn = 0;
  for (const Purpose purpose :
       {Purpose::kEnvironmentReset, Purpose::kEnvironmentStep, Purpose::kAction, Purpose::kExploration,
        Purpose::kReplaySample, Purpose::kPermutation, Purpose::kInitialization, Purpose::kTargetAction,
        Purpose::kPolicyAction, Purpose::kExplorationNoise, Purpose::kStateNoise, Purpose::kWorkerSeed,
        Purpose::kFinalEpsilon, Purpose::kParameterNoise, Purpose::kParameterDropout, Purpose::kPlanning}) {
    for (const std::uint64_t row : {0ull, 1ull, 0xffffffffull, 0x100000000ull, (1ull << 56) - 1}) {
      for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32}) {
        const RandomKey key{seed, row, purpose};
        for (std::uint32_t index = 0; index < 5; ++index) {
          for (std::uint32_t draw = 0; draw < 3; ++draw, ++drawn) seen.insert(words(key.block(index, draw)));
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(drawn));
}

TEST(Philox, UniformsStayInTheirRanges) {
  EXPECT_EQ(uniform_float(0), 0.0f);
  EXPECT_EQ(uniform_float(0xffffffff), 1.0f - 0x1p-24f);
  EXPECT_EQ(uniform_float_open(0), 0x1p-24f);
  EXPECT_EQ(uniform_float_open(0xffffffff), 1.0f);
  for (const std::uint32_t n : {1u, 3u, 31u, 257u, 1u << 31}) {
    EXPECT_EQ(uniform_below(0, n), 0u);
    EXPECT_EQ(uniform_below(0xffffffff, n), n - 1);
  }
}

TEST(Philox, UniformsAreUniform) {
  constexpr int kBins = 31, kDraws = 310'000;
  std::vector<int> bins(kBins);
  double sum = 0.0;
  const RandomKey key{5, 0, Purpose::kAction};
  for (std::uint32_t k = 0; k < kDraws; ++k) {
    const std::uint32_t word = key.lane_word(k);
    ++bins[uniform_below(word, kBins)];
    sum += static_cast<double>(uniform_float(word));
  }
  double chi2 = 0.0;
  for (const int count : bins) chi2 += std::pow(count - kDraws / kBins, 2) / (kDraws / kBins);
  EXPECT_LT(chi2, 59.7);  // 99.9 % of 30 degrees of freedom
  EXPECT_NEAR(sum / kDraws, 0.5, 4 * std::sqrt(1.0 / 12.0 / kDraws));
}

}  // namespace
}  // namespace stampede
