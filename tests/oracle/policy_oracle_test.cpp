// SPDX-License-Identifier: Apache-2.0
// Continuous distributions and the surrogates of A2C and of PPO's KL penalty against LibTorch in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "agents/losses/policy_gradient_loss.h"
#include "agents/losses/ppo_penalty_loss.h"
#include "tests/oracle/policy_reference.h"
#include "tests/oracle/random_cases.h"

namespace stampede {
namespace {

// Relative to a magnitude of at least 1.
void expect_close(double value, double reference, double tolerance) {
  EXPECT_NEAR(value, reference, tolerance * std::max(1.0, std::fabs(reference)));
}

// Samples near the mean, in (0, 1) for Beta, bins for the multi-categorical.
ContinuousCase continuous_case(ContinuousPolicy policy, int size, std::uint64_t seed) {
  constexpr int kBins = 7;
  const bool bins = policy == ContinuousPolicy::kMultiCategorical;
  ContinuousCase row{policy, size, kBins, -0.4f, {}, {}};
  row.outputs = random_values(700 + seed, static_cast<std::size_t>(size * (bins ? kBins : 2)), 1.5f);
  for (std::size_t k = 0; k < static_cast<std::size_t>(size); ++k) {
    const float x = random_value(900 + seed, k);
    row.raw.push_back(bins                                ? std::floor((x + 1.0f) * 3.49f)
                      : policy == ContinuousPolicy::kBeta ? 0.5f + 0.49f * x
                                                          : row.outputs[k] + x);
  }
  return row;
}

void check_distribution(ContinuousPolicy policy, double tolerance = 5e-6) {
  for (const int size : {1, 3, 8}) {
    for (std::uint64_t seed = 0; seed < 64; ++seed) {
      const ContinuousCase row = continuous_case(policy, size, seed);
      const ContinuousReference reference = continuous_reference(row, 0.8, -0.3);
      PolicyLayout layout;
      layout.action.size = size;
      layout.continuous = policy;
      layout.initial_log_sigma = row.initial_log_sigma;
      layout.bins = row.bins;
      std::vector<float> gradient(row.outputs.size());
      with_continuous_policy(layout, [&](const auto& distribution) {
        expect_close(distribution.log_prob(row.outputs.data(), row.raw.data()), reference.log_prob, tolerance);
        expect_close(distribution.entropy(row.outputs.data(), row.raw.data()), reference.entropy, tolerance);
        distribution.gradient(row.outputs.data(), row.raw.data(), 0.8f, -0.3f, gradient.data());
      });
      for (std::size_t j = 0; j < gradient.size(); ++j) expect_close(gradient[j], reference.d_outputs[j], tolerance);
    }
  }
}

TEST(DistributionOracle, StateGaussianEqualsAutograd) { check_distribution(ContinuousPolicy::kStateGaussian); }
TEST(DistributionOracle, SquashedGaussianEqualsAutograd) { check_distribution(ContinuousPolicy::kSquashedGaussian); }
// log Beta is a difference of larger numbers.
TEST(DistributionOracle, BetaEqualsAutograd) { check_distribution(ContinuousPolicy::kBeta, 2e-5); }
TEST(DistributionOracle, MultiCategoricalEqualsAutograd) { check_distribution(ContinuousPolicy::kMultiCategorical); }

TEST(SurrogateOracle, ScoreAndPenaltyEqualAutograd) {
  for (std::size_t k = 0; k < 257; ++k) {
    const float log_prob = -1.0f + random_value(41, k), old = log_prob + 0.5f * random_value(42, k);
    const float advantage = 2.0f * random_value(43, k), weight = 1.0f + random_value(44, k);
    const PolicySample sample{old, 0.0f, advantage, 0.0f};
    float metrics[PolicyRowMetrics::kSize];
    const SurrogateReference score = score_reference(log_prob, advantage);
    expect_close(surrogate_gradient(PolicyGradientLoss{}, sample, log_prob, metrics), score.d_log_prob, 4e-6);
    expect_close(metrics[PolicyRowMetrics::kPolicyLoss], score.loss, 4e-6);
    const SurrogateReference penalty = penalty_reference(log_prob, old, advantage, weight);
    expect_close(surrogate_gradient(PpoPenaltyLoss{&weight}, sample, log_prob, metrics), penalty.d_log_prob, 4e-6);
    expect_close(metrics[PolicyRowMetrics::kPolicyLoss], penalty.loss, 4e-6);
  }
}

}  // namespace
}  // namespace stampede
