// SPDX-License-Identifier: Apache-2.0
// Action distributions against formulas in double precision, and their samples against the distributions.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "agents/distributions.h"

namespace stampede {
namespace {

TEST(Categorical, UniformLogitsHaveTheEntropyOfTheirNumber) {
  for (const int n : {1, 2, 4, 31}) {
    for (const float level : {-50.0f, 0.0f, 80.0f}) {
      const std::vector<float> logits(static_cast<std::size_t>(n), level);
      const float normalizer = log_sum_exp(logits.data(), n);
      EXPECT_NEAR(normalizer, level + std::log(n), 1e-5);
      EXPECT_NEAR(categorical_entropy(logits.data(), n, normalizer), std::log(n), 1e-5);
    }
  }
}

TEST(Categorical, EntropyMatchesTheFormula) {
  const std::vector<float> logits{0.3f, -1.2f, 2.0f, 0.0f};
  double sum = 0.0, entropy = 0.0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  for (const float x : logits) entropy -= std::exp(x) / sum * std::log(std::exp(x) / sum);
  EXPECT_NEAR(categorical_entropy(logits.data(), 4, log_sum_exp(logits.data(), 4)), entropy, 1e-6);
}

TEST(Categorical, ExtremeLogitsStayFinite) {
  const std::vector<float> logits{1e4f, -1e4f, 0.0f};
  const float normalizer = log_sum_exp(logits.data(), 3);
  EXPECT_EQ(normalizer, 1e4f);
  EXPECT_TRUE(std::isfinite(categorical_entropy(logits.data(), 3, normalizer)));
  EXPECT_EQ(sample_categorical(logits.data(), 3, normalizer, 1.0f - 0x1p-24f), 0);
}

TEST(Categorical, SamplesFollowTheProbabilities) {
  const std::vector<float> logits{std::log(0.1f), std::log(0.2f), std::log(0.3f), std::log(0.4f)};
  const float normalizer = log_sum_exp(logits.data(), 4);
  constexpr int kSamples = 100'000;
  std::vector<int> counts(4);
  for (int k = 0; k < kSamples; ++k) {
    ++counts[static_cast<std::size_t>(
        sample_categorical(logits.data(), 4, normalizer, (static_cast<float>(k) + 0.5f) / kSamples))];
  }
  for (std::size_t a = 0; a < 4; ++a) EXPECT_NEAR(counts[a], kSamples * 0.1 * static_cast<double>(a + 1), 3);
}

TEST(Categorical, ArgmaxTakesTheFirstOfEquals) {
  const std::vector<float> x{1, 3, 3, 2};
  EXPECT_EQ(argmax(x.data(), 4), 1);
  EXPECT_EQ(argmax(x.data(), 1), 0);
}

TEST(Gaussian, LogDensityMatchesTheFormula) {
  const double sigma = std::exp(-0.7);
  const double expected = -0.5 * std::log(2 * M_PI) - std::log(sigma) - 0.5 * std::pow((1.3 - 0.4) / sigma, 2);
  EXPECT_NEAR(gaussian_log_prob(static_cast<float>((1.3 - 0.4) / sigma), -0.7f), expected, 1e-6);
  EXPECT_NEAR(gaussian_entropy(-0.7f), 0.5 * std::log(2 * M_PI * M_E * sigma * sigma), 1e-6);
}

TEST(Gaussian, SamplesHaveNormalMoments) {
  constexpr int kSamples = 200'000;
  double moments[5] = {};
  int beyond_two = 0;
  const RandomKey key{3, 1, Purpose::kAction};
  for (std::uint32_t k = 0; k < kSamples; ++k) {
    Rng rng(key, k);
    const std::uint32_t first = rng.next_word(), second = rng.next_word();
    const double z = static_cast<double>(standard_normal(first, second));
    for (int m = 1; m < 5; ++m) moments[m] += std::pow(z, m) / kSamples;
    beyond_two += std::abs(z) > 2.0;
  }
  EXPECT_NEAR(moments[1], 0.0, 0.01);
  EXPECT_NEAR(moments[2], 1.0, 0.015);
  EXPECT_NEAR(moments[3], 0.0, 0.04);
  EXPECT_NEAR(moments[4], 3.0, 0.1);
  EXPECT_NEAR(beyond_two / static_cast<double>(kSamples), 0.0455, 0.002);
}

TEST(Gaussian, NoWordGivesAnInfiniteSample) {
  EXPECT_TRUE(std::isfinite(standard_normal(0, 0)));
  EXPECT_TRUE(std::isfinite(standard_normal(0xffffffff, 0xffffffff)));
}

}  // namespace
}  // namespace stampede
