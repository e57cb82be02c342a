// SPDX-License-Identifier: Apache-2.0
// Distributions of continuous actions: densities against formulas in double, derivatives against differences, samples
// against the distribution, actions within their bounds.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "agents/policy_layout.h"

namespace stampede {
namespace {

constexpr int kSize = 2;
const StateGaussianPolicy kGaussian{kSize, -0.5f};
const SquashedGaussianPolicy kSquashed{kGaussian};
const BetaPolicy kBeta{kSize};
const MultiCategoricalPolicy kBins{kSize, 5};

// Outputs of a head for `count` numbers, of moderate size and not symmetric.
std::vector<float> head_outputs(int count) {
  std::vector<float> outputs;
  for (int k = 0; k < count; ++k) outputs.push_back(0.9f * static_cast<float>(std::sin(1.7 * k + 0.3)));
  return outputs;
}

TEST(GammaFunctions, MatchTheStandardLibrary) {
  for (double x = 1.0; x < 200.0; x *= 1.13) {
    const auto f = static_cast<float>(x);
    EXPECT_NEAR(log_gamma(f), std::lgamma(x), 2e-6 * std::max(1.0, std::lgamma(x))) << x;
    const double h = 1e-4, slope = (std::lgamma(x + h) - std::lgamma(x - h)) / (2 * h);
    EXPECT_NEAR(digamma(f), slope, 2e-6 + 1e-6 * std::fabs(slope)) << x;
    const double curve = (std::lgamma(x + 1e-3) - 2 * std::lgamma(x) + std::lgamma(x - 1e-3)) / 1e-6;
    EXPECT_NEAR(trigamma(f), curve, 2e-4) << x;
  }
}

TEST(StateGaussian, DensityAndEntropyMatchTheFormulas) {
  const std::vector<float> outputs = head_outputs(4), raw{0.8f, -1.1f};
  double density = 0.0, entropy = 0.0;
  for (std::size_t k = 0; k < 2; ++k) {
    const double log_sigma = -0.5 + outputs[2 + k], z = (raw[k] - outputs[k]) / std::exp(log_sigma);
    density += -0.5 * z * z - log_sigma - 0.5 * std::log(2 * M_PI);
    entropy += 0.5 * std::log(2 * M_PI * std::exp(1.0)) + log_sigma;
  }
  EXPECT_NEAR(kGaussian.log_prob(outputs.data(), raw.data()), density, 1e-5);
  EXPECT_NEAR(kGaussian.entropy(outputs.data(), raw.data()), entropy, 1e-5);
}

// The hand-computed case of mean 0.2, log sigma -0.5 and a sample of 0.7 before tanh.
TEST(SquashedGaussian, DensityHasTheExactLogDeterminant) {
  const SquashedGaussianPolicy one{{1, 0.0f}};
  const std::vector<float> outputs{0.2f, -0.5f};
  for (const auto& [u, expected] : {std::pair{0.7f, -0.304183303045}, std::pair{10.0f, -112.337126293}}) {
    EXPECT_NEAR(one.log_prob(outputs.data(), &u), expected, 1e-5 * std::fabs(expected) + 1e-6);
    EXPECT_NEAR(one.entropy(outputs.data(), &u), -expected, 1e-5 * std::fabs(expected) + 1e-6);
  }
}

TEST(Beta, DensityAndEntropyMatchTheFormulas) {
  const std::vector<float> outputs = head_outputs(4), raw{0.3f, 0.85f};
  double density = 0.0, entropy = 0.0;
  for (std::size_t k = 0; k < 2; ++k) {
    const double a = 1 + std::log1p(std::exp(outputs[k])), b = 1 + std::log1p(std::exp(outputs[2 + k]));
    const double log_beta = std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b);
    const auto log_density = [&](double x) { return (a - 1) * std::log(x) + (b - 1) * std::log(1 - x) - log_beta; };
    density += log_density(raw[k]);
    constexpr int kCells = 200'000;
    for (int c = 0; c < kCells; ++c) {
      const double l = log_density((c + 0.5) / kCells);
      entropy -= std::exp(l) * l / kCells;
    }
  }
  EXPECT_NEAR(kBeta.log_prob(outputs.data(), raw.data()), density, 1e-5);
  EXPECT_NEAR(kBeta.entropy(outputs.data(), raw.data()), entropy, 1e-4);
}

TEST(MultiCategorical, IsASumOfCategoricals) {
  const std::vector<float> outputs = head_outputs(10), raw{3.0f, 0.0f};
  double density = 0.0, entropy = 0.0;
  for (int k = 0; k < 2; ++k) {
    const float* const logits = outputs.data() + 5 * k;
    const float normalizer = log_sum_exp(logits, 5);
    density += static_cast<double>(logits[static_cast<int>(raw[static_cast<std::size_t>(k)])] - normalizer);
    entropy += static_cast<double>(categorical_entropy(logits, 5, normalizer));
  }
  EXPECT_NEAR(kBins.log_prob(outputs.data(), raw.data()), density, 1e-5);
  EXPECT_NEAR(kBins.entropy(outputs.data(), raw.data()), entropy, 1e-5);
}

// d(0.7 log_prob - 0.3 entropy) by central differences.
template <class Policy>
void expect_gradient(const Policy& policy, const std::vector<float>& outputs, const std::vector<float>& raw) {
  std::vector<float> gradient(outputs.size());
  policy.gradient(outputs.data(), raw.data(), 0.7f, -0.3f, gradient.data());
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    constexpr float kStep = 1e-2f;
    const auto at = [&](float move) {
      std::vector<float> moved = outputs;
      moved[j] += move;
      return 0.7 * static_cast<double>(policy.log_prob(moved.data(), raw.data())) -
             0.3 * static_cast<double>(policy.entropy(moved.data(), raw.data()));
    };
    EXPECT_NEAR(gradient[j], (at(kStep) - at(-kStep)) / (2 * static_cast<double>(kStep)), 2e-3) << j;
  }
}

TEST(ContinuousPolicies, GradientsMatchDifferences) {
  expect_gradient(kGaussian, head_outputs(4), {0.8f, -1.1f});
  expect_gradient(kBeta, head_outputs(4), {0.3f, 0.85f});
  expect_gradient(kBins, head_outputs(10), {3.0f, 0.0f});
}

// The estimate -log_prob of the sample is differentiated at fixed noise: moving means by m and log sigmas by s moves
// the sample too.
TEST(SquashedGaussian, EntropyGradientIsReparameterised) {
  const std::vector<float> outputs = head_outputs(4), raw{0.8f, -1.1f};
  std::vector<float> gradient(4);
  kSquashed.gradient(outputs.data(), raw.data(), 0.0f, 1.0f, gradient.data());
  const auto entropy = [&](std::size_t j, float move) {
    std::vector<float> moved = outputs, sample = raw;
    moved[j] += move;
    for (std::size_t k = 0; k < 2; ++k) {
      const float noise = (raw[k] - outputs[k]) * std::exp(-kGaussian.log_sigma(outputs.data(), static_cast<int>(k)));
      sample[k] = moved[k] + std::exp(kGaussian.log_sigma(moved.data(), static_cast<int>(k))) * noise;
    }
    return static_cast<double>(kSquashed.entropy(moved.data(), sample.data()));
  };
  for (std::size_t j = 0; j < 4; ++j) {
    EXPECT_NEAR(gradient[j], (entropy(j, 1e-2f) - entropy(j, -1e-2f)) / 2e-2, 2e-3) << j;
  }
}

// The mean of log_prob over samples is minus the entropy, and every action stays within its bounds.
template <class Policy>
void expect_samples(const Policy& policy, const std::vector<float>& outputs) {
  constexpr int kSamples = 40'000;
  double sum = 0.0, squares = 0.0, entropy = 0.0;
  for (std::uint32_t i = 0; i < kSamples; ++i) {
    Rng rng({5, 0, Purpose::kAction}, i);
    float raw[kSize];
    policy.sample(outputs.data(), rng, raw);
    const double l = static_cast<double>(policy.log_prob(outputs.data(), raw));
    ASSERT_TRUE(std::isfinite(l));
    sum += l;
    squares += l * l;
    entropy += static_cast<double>(policy.entropy(outputs.data(), raw));
    for (const float x : raw) {
      const float action = policy.executed(x, -2.0f, 3.0f);
      ASSERT_TRUE(action >= -2.0f && action <= 3.0f) << action;
    }
  }
  const double mean = sum / kSamples, error = std::sqrt((squares / kSamples - mean * mean) / kSamples);
  EXPECT_NEAR(mean, -entropy / kSamples, 4 * error + 1e-4);
}

TEST(ContinuousPolicies, SamplesFollowTheDensity) {
  expect_samples(kGaussian, head_outputs(4));
  expect_samples(kSquashed, head_outputs(4));
  expect_samples(kBeta, head_outputs(4));
  expect_samples(kBins, head_outputs(10));
}

TEST(Beta, SamplesHaveTheMeanOfTheDistribution) {
  const std::vector<float> outputs{2.0f, -1.0f, 0.5f, 3.0f};
  double sum[2] = {};
  constexpr int kSamples = 40'000;
  for (std::uint32_t i = 0; i < kSamples; ++i) {
    Rng rng({6, 0, Purpose::kAction}, i);
    float raw[2];
    kBeta.sample(outputs.data(), rng, raw);
    for (int k = 0; k < 2; ++k) sum[k] += static_cast<double>(raw[k]);
  }
  float mode[2];
  kBeta.mode(outputs.data(), mode);
  for (std::size_t k = 0; k < 2; ++k) {
    const double a = 1 + std::log1p(std::exp(outputs[k])), b = 1 + std::log1p(std::exp(outputs[2 + k]));
    EXPECT_NEAR(sum[k] / kSamples, a / (a + b), 5e-3);
    EXPECT_NEAR(mode[k], a / (a + b), 1e-6);
  }
}

TEST(MultiCategorical, BinsSpanTheBounds) {
  EXPECT_EQ(kBins.executed(0.0f, -2.0f, 3.0f), -2.0f);
  EXPECT_EQ(kBins.executed(4.0f, -2.0f, 3.0f), 3.0f);
  EXPECT_FLOAT_EQ(kBins.executed(2.0f, -2.0f, 3.0f), 0.5f);
}

}  // namespace
}  // namespace stampede
