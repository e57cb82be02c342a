// SPDX-License-Identifier: Apache-2.0
// A policy with state-dependent noise against LibTorch in double: log-probability, entropy and every gradient.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "agents/losses/policy_gradient_loss.h"
#include "tests/oracle/random_cases.h"
#include "tests/oracle/state_noise_reference.h"
#include "tests/unit/state_noise_rig.h"

namespace stampede {
namespace {

StateNoiseCase random_case(int rows, int features, int actions) {
  const auto count = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
  StateNoiseCase c{rows,
                   features,
                   actions,
                   random_values(11, count(rows, features)),
                   random_values(12, count(rows, actions)),
                   random_values(13, count(rows, actions), 2.0f),
                   random_values(14, count(features, actions), 0.5f)};
  for (float& value : c.log_sigma) value -= 1.0f;
  return c;
}

// Relative to the largest: sums of different lengths share one bound.
template <class Value>
void expect_close(const std::vector<double>& reference, const Value& value) {
  double largest = 1.0;
  for (const double x : reference) largest = std::max(largest, std::fabs(x));
  for (std::size_t i = 0; i < reference.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(value(static_cast<int>(i))), reference[i], 5e-6 * largest) << i;
  }
}

void check(const StateNoiseCase& c) {
  constexpr float kAdvantage = -0.8f, kEntropyWeight = 0.3f;  // -A log pi - weight H
  const StateNoiseReference reference = state_noise_reference(c, -kAdvantage, -kEntropyWeight);
  StateNoiseRig rig({true, 1, true}, c.features, c.actions, c.rows);
  for (int i = 0; i < c.features * c.actions; ++i) {
    rig.log_sigma(i / c.actions, i % c.actions) = c.log_sigma[static_cast<std::size_t>(i)];
  }
  for (int i = 0; i < c.rows * c.features; ++i) {
    rig.feature(i / c.features, i % c.features) = c.z[static_cast<std::size_t>(i)];
  }
  const float* const log_sigma = rig.measure();
  std::vector<float> d_means(c.means.size()), entropy(static_cast<std::size_t>(c.rows)), log_prob(entropy.size());
  for (int r = 0; r < c.rows; ++r) {
    const std::size_t at = static_cast<std::size_t>(r * c.actions);
    float metrics[PolicyRowMetrics::kSize];
    gaussian_policy_gradient(PolicyGradientLoss{kEntropyWeight, 0.5f}, PolicySample{0.0f, 0.0f, kAdvantage, 0.0f},
                             &c.means[at], log_sigma + r * 16, &c.action[at], c.actions, 1.0f, &d_means[at],
                             rig.d_log_sigma(r), metrics);
    entropy[static_cast<std::size_t>(r)] = metrics[PolicyRowMetrics::kEntropy];
    log_prob[static_cast<std::size_t>(r)] = metrics[PolicyRowMetrics::kPolicyLoss] / -kAdvantage;
  }
  rig.backward();
  expect_close(reference.log_prob, [&](int r) { return log_prob[static_cast<std::size_t>(r)]; });
  expect_close(reference.entropy, [&](int r) { return entropy[static_cast<std::size_t>(r)]; });
  expect_close(reference.d_means, [&](int i) { return d_means[static_cast<std::size_t>(i)]; });
  expect_close(reference.d_log_sigma, [&](int i) { return rig.gradient(i / c.actions, i % c.actions); });
  expect_close(reference.d_z, [&](int i) { return rig.d_feature(i / c.features, i % c.features); });
}

TEST(StateNoiseOracle, GaussianOfMarginalVarianceEqualsAutograd) {
  for (const int rows : {1, 31, 33, 257}) {
    for (const int features : {1, 31, 64}) {
      for (const int actions : {1, 3, 8}) {
        SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(features) + " features");
        check(random_case(rows, features, actions));
      }
    }
  }
}

}  // namespace
}  // namespace stampede
