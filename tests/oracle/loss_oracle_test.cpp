// SPDX-License-Identifier: Apache-2.0
// Losses, distributions and initial weights against LibTorch in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "tests/oracle/random_cases.h"

namespace stampede {
namespace {

// Relative to a magnitude of at least 1.
void expect_close(double value, double reference, double tolerance) {
  EXPECT_NEAR(value, reference, tolerance * std::max(1.0, std::fabs(reference)));
}

constexpr double kTolerance = 4e-6;

// The native derivatives of a row, and which branches its case takes.
struct PolicyRow {
  explicit PolicyRow(const PolicyCase& row) : d_policy(row.policy.size()), d_log_sigma(row.log_sigma.size()) {
    const int n = static_cast<int>(row.policy.size());
    if (row.log_sigma.empty()) {
      categorical_policy_gradient(row.config, row.sample, row.policy.data(), n, static_cast<int>(row.action[0]), 1.0f,
                                  d_policy.data(), metrics);
    } else {
      gaussian_policy_gradient(row.config, row.sample, row.policy.data(), row.log_sigma.data(), row.action.data(), n,
                               1.0f, d_policy.data(), d_log_sigma.data(), metrics);
    }
    d_value = row.config.value_weight * value_gradient(row.config, row.sample, row.value, metrics);
  }

  std::vector<float> d_policy, d_log_sigma;
  float d_value, metrics[PolicyRowMetrics::kSize] = {};
};

void expect_row(const PolicyCase& row, const PolicyReference& reference) {
  const PolicyRow native(row);
  expect_close(native.metrics[PolicyRowMetrics::kPolicyLoss], reference.policy_loss, kTolerance);
  expect_close(native.metrics[PolicyRowMetrics::kValueLoss], reference.value_loss, kTolerance);
  expect_close(native.metrics[PolicyRowMetrics::kEntropy], reference.entropy, kTolerance);
  expect_close(native.d_value, reference.d_value, kTolerance);
  for (std::size_t j = 0; j < row.policy.size(); ++j) {
    expect_close(native.d_policy[j], reference.d_policy[j], kTolerance);
  }
  for (std::size_t j = 0; j < row.log_sigma.size(); ++j) {
    expect_close(native.d_log_sigma[j], reference.d_log_sigma[j], kTolerance);
  }
}

// Clipped or not, by the sign of the advantage; value held or not: every branch of the loss.
void check_policies(const std::vector<PolicyCase>& cases) {
  std::set<int> policy_branches, value_branches;
  for (std::size_t k = 0; k < cases.size(); ++k) {
    SCOPED_TRACE("case " + std::to_string(k));
    const PolicyReference reference = policy_reference(cases[k]);
    expect_row(cases[k], reference);
    const bool held = PolicyRow(cases[k]).metrics[PolicyRowMetrics::kClipFraction] > 0.0f;
    policy_branches.insert(held * 2 + (cases[k].sample.advantage > 0.0f));
    value_branches.insert((cases[k].config.value_clip > 0.0f) * 2 + (reference.d_value == 0.0));
  }
  EXPECT_EQ(policy_branches, (std::set<int>{0, 1, 2, 3}));
  EXPECT_EQ(value_branches, (std::set<int>{0, 2, 3}));
}

TEST(PpoLossOracle, CategoricalGradientsEqualAutograd) {
  for (const int actions : {2, 3, 17}) check_policies(categorical_cases(257, actions));
}

TEST(PpoLossOracle, GaussianGradientsEqualAutograd) {
  for (const int dimensions : {1, 3, 8}) check_policies(gaussian_cases(257, dimensions));
}

TEST(DqnLossOracle, HuberAndSquaredGradientsEqualAutograd) {
  int linear = 0;
  for (std::size_t i = 0; i < 257; ++i) {
    const float q = 3.0f * random_value(31, i), target = 3.0f * random_value(32, i);
    for (const TdLoss loss : {TdLoss::kHuber, TdLoss::kSquared}) {
      const TdReference reference = td_reference(loss, q, target);
      float metrics[DqnRowMetrics::kSize];
      expect_close(td_gradient(loss, q, target, metrics), reference.d_q, kTolerance);
      expect_close(metrics[DqnRowMetrics::kLoss], reference.loss, kTolerance);
    }
    linear += std::fabs(q - target) > 1.0f;
  }
  EXPECT_TRUE(linear > 50 && linear < 200) << linear;
}

TEST(DistributionOracle, LogSumExpAndEntropyEqualLibTorch) {
  for (const int n : {1, 2, 3, 17, 64}) {
    for (const float scale : {0.0f, 1e-3f, 1.0f, 20.0f, 1e4f}) {
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        std::vector<float> logits = random_values(500 + seed, static_cast<std::size_t>(n), scale);
        const DistributionReference reference = categorical_reference(logits);
        const float normalizer = log_sum_exp(logits.data(), n);
        expect_close(normalizer, reference.log_sum_exp, 1e-6);
        // Probabilities inherit the rounding of logits this large.
        expect_close(categorical_entropy(logits.data(), n, normalizer), reference.entropy,
                     2e-6 * std::max(1.0f, scale));
      }
    }
  }
}

TEST(InitializationOracle, OrthogonalWeightsHaveEqualSingularValues) {
  const NetworkSpec spec(17, false,
                         {{"actor", {64, 33}, Activation::kTanh, {{"policy", 3, 0.01f}, {"extra", 2, 1.0f}}},
                          {"critic", {100}, Activation::kTanh, {{"value", 1, 1.0f}}}});
  std::vector<float> parameters(spec.parameter_count());
  spec.initialize(5, parameters.data());
  int checked = 0;
  for (const TensorLayout& t : spec.tensors()) {
    if (t.columns == 0) continue;
    std::vector<float> matrix;
    for (int r = 0; r < t.rows; ++r) {
      for (int c = 0; c < t.columns; ++c) {
        matrix.push_back(parameters[t.offset + static_cast<std::size_t>(r) * t.row_stride +
                                    static_cast<std::size_t>(c) * t.column_stride]);
      }
    }
    const auto gain = static_cast<double>(t.gain);
    for (const double value : singular_values(matrix, t.rows, t.columns))
      EXPECT_NEAR(value / gain, 1.0, 1e-6) << t.name;
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

}  // namespace
}  // namespace stampede
