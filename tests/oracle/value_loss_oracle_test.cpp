// SPDX-License-Identifier: Apache-2.0
// The losses of DQN's options against LibTorch in double: scalar, categorical and quantile values, plain and dueling
// heads, greedy, double and soft targets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/oracle/random_cases.h"
#include "tests/oracle/value_reference.h"

namespace stampede {
namespace {

void expect_close(double value, double reference, double tolerance) {
  EXPECT_NEAR(value, reference, tolerance * std::max(1.0, std::fabs(reference)));
}

struct Result {
  std::vector<float> d_outputs, metrics;
  float priority = -1.0f;
};

Result run(const ValueCase& row) {
  const std::int32_t action = row.action;
  const float one = 1.0f;
  Result result{std::vector<float>(row.outputs.size()), std::vector<float>(PriorityRowMetrics::kSize)};
  dqn_tile_loss(Stream::cpu(), row.loss,
                {.actions = &action,
                 .rewards = &row.reward,
                 .discounts = &row.discount,
                 .outputs = row.outputs.data(),
                 .target_outputs = row.target_outputs.data(),
                 .output_stride = static_cast<int>(row.outputs.size()),
                 .rows = 1,
                 .next_q = row.next_q.data(),
                 .next_stride = static_cast<int>(row.next_q.size()),
                 .importance = &one,
                 .d_outputs = result.d_outputs.data(),
                 .metrics = result.metrics.data(),
                 .priorities = &result.priority});
  return result;
}

void expect_agreement(const ValueCase& row) {
  constexpr double kTolerance = 2e-5;
  const ValueReference reference = value_reference(row);
  const Result native = run(row);
  expect_close(native.metrics[DqnRowMetrics::kLoss], reference.loss, kTolerance);
  expect_close(native.metrics[DqnRowMetrics::kQ], reference.q, kTolerance);
  expect_close(native.metrics[DqnRowMetrics::kTarget], reference.target, kTolerance);
  const bool categorical = row.loss.heads.distribution == ValueDistribution::kCategorical;
  const double priority = categorical ? reference.divergence : std::fabs(reference.q - reference.target);
  expect_close(native.priority, priority, kTolerance);
  for (std::size_t j = 0; j < native.d_outputs.size(); ++j) {
    expect_close(native.d_outputs[j], reference.d_outputs[j], kTolerance);
  }
}

// next_q: the target's own expected values, or others as Double DQN chooses by.
void check(const DqnLoss& loss, bool double_q) {
  const ValueHeads& heads = loss.heads;
  const auto columns = static_cast<std::size_t>((heads.actions + heads.dueling) * heads.atoms());
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    ValueCase row{loss, random_values(700 + seed, columns, 2.0f), random_values(800 + seed, columns, 2.0f),
                  random_values(900 + seed, static_cast<std::size_t>(heads.actions), 2.0f)};
    if (!double_q) {
      action_values(Stream::cpu(), heads, row.target_outputs.data(), static_cast<int>(columns), 1, row.next_q.data(),
                    heads.actions);
    }
    row.action = static_cast<int>(seed) % heads.actions;
    row.reward = 3.0f * random_value(1000, seed);
    row.discount = seed % 4 == 0 ? 0.0f : 0.97f;
    SCOPED_TRACE("seed " + std::to_string(seed));
    expect_agreement(row);
  }
}

void check_targets(DqnLoss loss) {
  for (const bool dueling : {false, true}) {
    for (const bool double_q : {false, true}) {
      for (const float temperature : {0.0f, 0.7f}) {
        SCOPED_TRACE("dueling " + std::to_string(dueling) + ", double " + std::to_string(double_q) + ", temperature " +
                     std::to_string(temperature) + ", atoms " + std::to_string(loss.heads.atoms()));
        loss.heads.dueling = dueling;
        loss.temperature = temperature;
        check(loss, double_q);
      }
    }
  }
}

TEST(ValueLossOracle, ScalarGradientsEqualAutograd) {
  for (const TdLoss td : {TdLoss::kHuber, TdLoss::kSquared}) {
    for (const int actions : {2, 3, 17}) {
      check_targets({.heads = {.actions = actions, .support = {.atoms = 1}}, .td = td});
    }
  }
}

TEST(ValueLossOracle, CategoricalGradientsEqualAutograd) {
  for (const int atoms : {2, 16, 51}) {
    check_targets(
        {.heads = {.actions = 3, .distribution = ValueDistribution::kCategorical, .support = {-4.0f, 5.0f, atoms}}});
  }
}

TEST(ValueLossOracle, QuantileGradientsEqualAutograd) {
  for (const int atoms : {1, 16, 51}) {
    for (const float kappa : {1.0f, 0.3f}) {
      check_targets({.heads = {.actions = 3, .distribution = ValueDistribution::kQuantile, .support = {.atoms = atoms}},
                     .kappa = kappa});
    }
  }
}

}  // namespace
}  // namespace stampede
