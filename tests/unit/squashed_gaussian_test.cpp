// SPDX-License-Identifier: Apache-2.0
// The squashed Gaussian's density, entropy and derivatives against double precision.
#include "agents/distributions/squashed_gaussian.h"

#include <gtest/gtest.h>

#include <cmath>

namespace stampede {
namespace {

double exact_log_prob(double mean, double log_sigma, double noise) {
  const double u = mean + std::exp(log_sigma) * noise;
  const double slope = 2.0 * (std::log(2.0) - u - (u > -20.0 ? std::log1p(std::exp(-2.0 * u)) : -2.0 * u));
  return -0.5 * noise * noise - log_sigma - 0.5 * std::log(2.0 * M_PI) - slope;
}

TEST(SquashedGaussian, LogProbabilitiesAreThoseComputedByHand) {
  const float mean = 0.2f, log_sigma = -0.5f;
  const auto noise_of = [&](double u) { return static_cast<float>((u - 0.2) / std::exp(-0.5)); };
  const float at_seven = sample_squashed(mean, log_sigma, noise_of(0.7)).log_prob;
  EXPECT_NEAR(at_seven, -0.304183303045, 1e-6);
  EXPECT_NEAR(at_seven - std::log(2.0f), -0.997330483605, 1e-6);
  EXPECT_NEAR(sample_squashed(mean, log_sigma, noise_of(10.0)).log_prob, -112.337126293, 2e-5);
}

TEST(SquashedGaussian, SlopeIsExactFarOutside) {
  for (const double u : {-60.0, -12.0, -3.0, -1e-3, 0.0, 0.4, 5.0, 30.0, 80.0}) {
    const double expected = 2.0 * (std::log(2.0) - std::abs(u) - std::log1p(std::exp(-2.0 * std::abs(u))));
    EXPECT_NEAR(log_tanh_slope(static_cast<float>(u)), expected, 4e-6 * std::max(1.0, std::abs(expected))) << u;
  }
}

TEST(SquashedGaussian, EntropyOfSamplesEqualsQuadrature) {
  for (const auto& [mean, log_sigma] : {std::pair{0.2f, -0.5f}, {-1.5f, 0.3f}, {0.0f, 1.0f}}) {
    double quadrature = 0.0;
    constexpr int kSteps = 4000;
    for (int k = 0; k < kSteps; ++k) {
      const double z = -9.0 + 18.0 * (k + 0.5) / kSteps;
      const double density = std::exp(-0.5 * z * z) / std::sqrt(2.0 * M_PI);
      quadrature -=
          density * exact_log_prob(static_cast<double>(mean), static_cast<double>(log_sigma), z) * 18.0 / kSteps;
    }
    double sampled = 0.0;
    constexpr int kSamples = 200'000;
    for (std::uint32_t k = 0; k < kSamples; ++k) {
      Rng rng({5, 1, Purpose::kPolicyAction}, k);
      const std::uint32_t first = rng.next_word();
      const float noise = standard_normal(first, rng.next_word());
      sampled -= static_cast<double>(sample_squashed(mean, log_sigma, noise).log_prob) / kSamples;
    }
    EXPECT_NEAR(sampled, quadrature, 0.015) << mean << ' ' << log_sigma;
  }
}

TEST(SquashedGaussian, DerivativesEqualFiniteDifferences) {
  constexpr double kStep = 1e-5;
  for (const double mean : {-2.0, 0.3, 1.1}) {
    for (const double log_sigma : {-3.0, -0.4, 0.8}) {
      for (const double noise : {-1.7, 0.0, 0.6}) {
        const double d_log_prob = 0.7, d_action = -1.3;
        const auto loss = [&](double m, double s) {
          return d_log_prob * exact_log_prob(m, s, noise) + d_action * std::tanh(m + std::exp(s) * noise);
        };
        const float fmean = static_cast<float>(mean), fsigma = static_cast<float>(log_sigma);
        const float fnoise = static_cast<float>(noise);
        const SquashedGradient d = squashed_gradient(sample_squashed(fmean, fsigma, fnoise), fsigma, fnoise,
                                                     static_cast<float>(d_log_prob), static_cast<float>(d_action));
        EXPECT_NEAR(d.mean, (loss(mean + kStep, log_sigma) - loss(mean - kStep, log_sigma)) / (2 * kStep), 2e-5);
        EXPECT_NEAR(d.log_sigma, (loss(mean, log_sigma + kStep) - loss(mean, log_sigma - kStep)) / (2 * kStep), 2e-5);
      }
    }
  }
}

TEST(SquashedGaussian, LogSigmaOutsideItsBoundsHasNoDerivative) {
  for (const float log_sigma : {-20.5f, 2.5f, 1e9f}) {
    const SquashedSample sample = sample_squashed(0.1f, log_sigma, 0.5f);
    EXPECT_TRUE(std::isfinite(sample.log_prob) && std::isfinite(sample.action));
    EXPECT_EQ(squashed_gradient(sample, log_sigma, 0.5f, 1.0f, 1.0f).log_sigma, 0.0f);
    EXPECT_EQ(sample.sigma, exp_of(clamp(log_sigma, kLogSigmaLow, kLogSigmaHigh)));
  }
  EXPECT_NE(squashed_gradient(sample_squashed(0.1f, 1.9f, 0.5f), 1.9f, 0.5f, 1.0f, 1.0f).log_sigma, 0.0f);
}

TEST(SquashedGaussian, ActionsStayInside) {
  for (const float noise : {-40.0f, -6.0f, 6.0f, 40.0f}) {
    const float action = sample_squashed(0.0f, 1.0f, noise).action;
    EXPECT_LT(std::abs(action), 1.0f);
    EXPECT_GT(std::abs(action), 0.999f);
  }
}

}  // namespace
}  // namespace stampede
