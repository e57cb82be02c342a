// SPDX-License-Identifier: Apache-2.0
// PPO's losses row by row: hand-computed values, and gradients against finite differences.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "agents/losses/any_policy_loss.h"
#include "agents/losses/ppo_loss.h"

namespace stampede {
namespace {

struct Surrogate {
  float objective, gradient, clipped;
};

Surrogate surrogate(float advantage, float ratio) {
  float metrics[PolicyRowMetrics::kSize] = {};
  const PolicySample sample{-1.0f, 0.0f, advantage, 0.0f};
  const float gradient = surrogate_gradient(PpoLossConfig{}, sample, -1.0f + std::log(ratio), metrics);
  return {-metrics[PolicyRowMetrics::kPolicyLoss], -gradient, metrics[PolicyRowMetrics::kClipFraction]};
}

TEST(PpoSurrogate, TakesTheSmallerInEveryQuadrant) {
  EXPECT_NEAR(surrogate(1, 1.5f).objective, 1.2, 1e-6);
  EXPECT_NEAR(surrogate(1, 0.5f).objective, 0.5, 1e-6);
  EXPECT_NEAR(surrogate(-1, 1.5f).objective, -1.5, 1e-6);
  EXPECT_NEAR(surrogate(-1, 0.5f).objective, -0.8, 1e-6);
}

TEST(PpoSurrogate, PassesNoGradientWhereTheClippedIsTheSmaller) {
  EXPECT_EQ(surrogate(1, 1.5f).gradient, 0.0f);
  EXPECT_EQ(surrogate(-1, 0.5f).gradient, 0.0f);
  EXPECT_NEAR(surrogate(1, 0.5f).gradient, 0.5, 1e-6);
  EXPECT_NEAR(surrogate(-1, 1.5f).gradient, -1.5, 1e-6);
  EXPECT_NEAR(surrogate(2, 1.1f).gradient, 2.2, 1e-6);
}

TEST(PpoSurrogate, CountsEveryRatioOutsideTheInterval) {
  EXPECT_EQ(surrogate(1, 1.5f).clipped, 1.0f);
  EXPECT_EQ(surrogate(-1, 1.5f).clipped, 1.0f);
  EXPECT_EQ(surrogate(1, 1.19f).clipped, 0.0f);
}

TEST(PpoSurrogate, ApproximateKlIsRatioMinusOneMinusItsLogarithm) {
  float metrics[PolicyRowMetrics::kSize] = {};
  surrogate_gradient(PpoLossConfig{}, {-1.0f, 0.0f, 1.0f, 0.0f}, -1.3f, metrics);
  EXPECT_NEAR(metrics[PolicyRowMetrics::kApproxKl], std::exp(-0.3) - 1 + 0.3, 1e-6);
}

struct Value {
  float loss, gradient;
};

Value value_loss(float value_clip, float value, float target) {
  float metrics[PolicyRowMetrics::kSize] = {};
  PpoLossConfig config;
  config.value_clip = value_clip;
  const float gradient = value_gradient(config, {0.0f, 1.0f, 0.0f, target}, value, metrics);
  return {metrics[PolicyRowMetrics::kValueLoss], gradient};
}

TEST(PpoValueLoss, IsHalfTheSquaredError) {
  EXPECT_FLOAT_EQ(value_loss(0, 3, 1).loss, 2.0f);
  EXPECT_FLOAT_EQ(value_loss(0, 3, 1).gradient, 2.0f);
  EXPECT_FLOAT_EQ(value_loss(0, 0, 1).gradient, -1.0f);
}

TEST(PpoValueLoss, ClippingTakesTheLargerLoss) {
  // The old value is 1. Towards the target and out of the interval: the clipped loss is larger and constant.
  EXPECT_NEAR(value_loss(0.2f, 2.0f, 3.0f).loss, 0.5 * 1.8 * 1.8, 1e-6);
  EXPECT_EQ(value_loss(0.2f, 2.0f, 3.0f).gradient, 0.0f);
  // Away from the target: the unclipped loss is larger and pulls back.
  EXPECT_NEAR(value_loss(0.2f, 2.0f, 0.0f).loss, 2.0, 1e-6);
  EXPECT_NEAR(value_loss(0.2f, 2.0f, 0.0f).gradient, 2.0, 1e-6);
  // Within the interval clipping does nothing.
  EXPECT_NEAR(value_loss(0.2f, 1.1f, 3.0f).gradient, -1.9, 1e-6);
}

double total_loss(const PpoLossConfig& config, const PolicySample& sample, const std::vector<float>& logits,
                  int action) {
  float metrics[PolicyRowMetrics::kSize] = {};
  std::vector<float> ignored(logits.size());
  categorical_policy_gradient(config, sample, logits.data(), static_cast<int>(logits.size()), action, 1.0f,
                              ignored.data(), metrics);
  return static_cast<double>(metrics[PolicyRowMetrics::kPolicyLoss]) -
         static_cast<double>(config.entropy_weight * metrics[PolicyRowMetrics::kEntropy]);
}

TEST(CategoricalPolicyGradient, MatchesFiniteDifferences) {
  PpoLossConfig config;
  config.entropy_weight = 0.3f;
  const std::vector<float> logits{0.3f, -0.8f, 1.1f, 0.05f};
  for (const float advantage : {-1.4f, 0.0f, 0.9f}) {
    for (int action = 0; action < 4; ++action) {
      const PolicySample sample{-1.45f, 0.0f, advantage, 0.0f};  // no ratio is at the edge of the interval
      float metrics[PolicyRowMetrics::kSize] = {};
      std::vector<float> gradient(4);
      categorical_policy_gradient(config, sample, logits.data(), 4, action, 0.5f, gradient.data(), metrics);
      for (std::size_t j = 0; j < 4; ++j) {
        std::vector<float> up = logits, down = logits;
        up[j] += 0.01f;
        down[j] -= 0.01f;
        const double slope = (total_loss(config, sample, up, action) - total_loss(config, sample, down, action)) / 0.02;
        EXPECT_NEAR(gradient[j], 0.5 * slope, 2e-4) << advantage << ' ' << action << ' ' << j;
      }
    }
  }
}

TEST(CategoricalPolicyGradient, EntropyBonusFlattensThePolicy) {
  PpoLossConfig config;
  config.entropy_weight = 1.0f;
  float metrics[PolicyRowMetrics::kSize] = {};
  std::vector<float> gradient(4);
  const PolicySample no_advantage{-1.0f, 0.0f, 0.0f, 0.0f};
  const std::vector<float> peaked{2.0f, 0.0f, 0.0f, 0.0f};
  categorical_policy_gradient(config, no_advantage, peaked.data(), 4, 0, 1.0f, gradient.data(), metrics);
  EXPECT_GT(gradient[0], 0.1f) << "descent must lower the highest logit";
  for (std::size_t j = 1; j < 4; ++j) EXPECT_LT(gradient[j], -0.03f);
  const std::vector<float> flat(4, 0.7f);
  categorical_policy_gradient(config, no_advantage, flat.data(), 4, 0, 1.0f, gradient.data(), metrics);
  EXPECT_NEAR(metrics[PolicyRowMetrics::kEntropy], std::log(4.0), 1e-6);
  for (const float g : gradient) EXPECT_NEAR(g, 0.0, 1e-6);
}

struct GaussianCase {
  std::vector<float> means{0.4f, -1.0f}, log_sigma{-0.5f, 0.3f}, action{0.9f, 1.2f};

  double loss(const PpoLossConfig& config, const PolicySample& sample) const {
    float metrics[PolicyRowMetrics::kSize] = {}, d_means[2], d_sigma[2];
    gaussian_policy_gradient(config, sample, means.data(), log_sigma.data(), action.data(), 2, 1.0f, d_means, d_sigma,
                             metrics);
    return static_cast<double>(metrics[PolicyRowMetrics::kPolicyLoss]) -
           static_cast<double>(config.entropy_weight * metrics[PolicyRowMetrics::kEntropy]);
  }
};

TEST(GaussianPolicyGradient, SumsLogDensitiesOverDimensions) {
  const GaussianCase c;
  double expected = 0.0;
  for (std::size_t j = 0; j < 2; ++j) {
    const double sigma = std::exp(c.log_sigma[j]), z = (c.action[j] - c.means[j]) / sigma;
    expected += -0.5 * z * z - std::log(sigma) - 0.5 * std::log(2 * M_PI);
  }
  // A ratio of one tells that the log density is the old one.
  float metrics[PolicyRowMetrics::kSize] = {}, d_means[2], d_sigma[2];
  gaussian_policy_gradient(PpoLossConfig{}, PolicySample{static_cast<float>(expected), 0.0f, 1.0f, 0.0f},
                           c.means.data(), c.log_sigma.data(), c.action.data(), 2, 1.0f, d_means, d_sigma, metrics);
  EXPECT_NEAR(metrics[PolicyRowMetrics::kPolicyLoss], -1.0, 2e-6);
  EXPECT_NEAR(metrics[PolicyRowMetrics::kEntropy], 1.0 + std::log(2 * M_PI) - 0.5 + 0.3, 1e-5);
}

TEST(GaussianPolicyGradient, MatchesFiniteDifferences) {
  PpoLossConfig config;
  config.entropy_weight = 0.2f;
  const PolicySample sample{-5.0f, 0.0f, -0.7f, 0.0f};
  const GaussianCase c;
  float metrics[PolicyRowMetrics::kSize] = {}, d_means[2], d_sigma[2];
  gaussian_policy_gradient(config, sample, c.means.data(), c.log_sigma.data(), c.action.data(), 2, 1.0f, d_means,
                           d_sigma, metrics);
  for (std::size_t j = 0; j < 2; ++j) {
    const auto slope = [&](std::vector<float> GaussianCase::*member) {
      GaussianCase up = c, down = c;
      (up.*member)[j] += 0.005f;
      (down.*member)[j] -= 0.005f;
      return (up.loss(config, sample) - down.loss(config, sample)) / 0.01;
    };
    EXPECT_NEAR(d_means[j], slope(&GaussianCase::means), 5e-3);
    EXPECT_NEAR(d_sigma[j], slope(&GaussianCase::log_sigma), 5e-3);
  }
}

// The penalty clips no ratio, but says how many the clipped surrogate would have; its values may be clipped as well.
TEST(PpoPenalty, CountsRatiosOutsideTheIntervalAndClipsValues) {
  const float weight = 1.0f;
  const PolicySample sample{-1.0f, 1.0f, 1.0f, 2.0f};
  const PpoPenaltyLoss penalty{&weight, 0.0f, 0.5f, 0.2f, 0.1f};
  const PpoLossConfig clipped{0.2f, 0.1f, 0.0f, 0.5f};
  const AnyPolicyLoss any(penalty);
  for (const float ratio : {0.5f, 0.79f, 0.81f, 1.0f, 1.19f, 1.21f}) {
    float metrics[PolicyRowMetrics::kSize] = {}, any_metrics[PolicyRowMetrics::kSize] = {};
    const float log_prob = -1.0f + std::log(ratio);
    EXPECT_NE(surrogate_gradient(penalty, sample, log_prob, metrics), 0.0f);
    surrogate_gradient(any, sample, log_prob, any_metrics);
    EXPECT_EQ(metrics[PolicyRowMetrics::kClipFraction], ratio < 0.8f || ratio > 1.2f ? 1.0f : 0.0f) << ratio;
    EXPECT_EQ(any_metrics[PolicyRowMetrics::kClipFraction], metrics[PolicyRowMetrics::kClipFraction]) << ratio;
  }
  for (const float value : {0.7f, 0.95f, 1.05f, 1.3f}) {
    float metrics[3][PolicyRowMetrics::kSize] = {};
    const float gradient = value_gradient(clipped, sample, value, metrics[0]);
    EXPECT_EQ(value_gradient(penalty, sample, value, metrics[1]), gradient) << value;
    EXPECT_EQ(value_gradient(any, sample, value, metrics[2]), gradient) << value;
    for (int k : {1, 2}) {
      EXPECT_EQ(metrics[k][PolicyRowMetrics::kValueLoss], metrics[0][PolicyRowMetrics::kValueLoss]) << value;
    }
  }
}

}  // namespace
}  // namespace stampede
