// SPDX-License-Identifier: Apache-2.0
// Values that choose and values that are learnt: soft values, dueling heads, categorical projections, quantiles.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "agents/dqn_steps.h"
#include "agents/losses/soft_value.h"

namespace stampede {
namespace {

using Floats = std::vector<float>;

TEST(SoftValue, IsTheTemperatureTimesTheLogOfTheSum) {
  const Floats q{1.0f, 2.0f, 3.0f};
  EXPECT_NEAR(soft_value(q.data(), 3, 1.0f), std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0)), 1e-6);
  EXPECT_NEAR(soft_value(q.data(), 3, 0.5f), 0.5 * std::log(std::exp(2.0) + std::exp(4.0) + std::exp(6.0)), 1e-6);
  EXPECT_NEAR(soft_value(Floats(4, 7.0f).data(), 4, 0.1f), 7.0 + 0.1 * std::log(4.0), 1e-6);
}

TEST(SoftValue, ApproachesTheMaximumWithoutOverflow) {
  const Floats q{1000.0f, -5000.0f, 999.0f};
  EXPECT_NEAR(soft_value(q.data(), 3, 1e-3f), 1000.0f, 1e-3f);
  EXPECT_TRUE(std::isfinite(soft_value(q.data(), 3, 1e-6f)));
  const NextPolicy cold(q.data(), 3, 1e-3f), hard(q.data(), 3, 0.0f);
  EXPECT_EQ(hard.greedy(), 0);
  EXPECT_EQ(hard.probability(0), 1.0f);
  EXPECT_EQ(hard.entropy_bonus(0), 0.0f);
  EXPECT_NEAR(cold.probability(0), 1.0f, 1e-6f);
  EXPECT_NEAR(cold.probability(1), 0.0f, 1e-30f);
}

TEST(SoftValue, IsWhatThePolicyEarnsWithItsEntropy) {
  const Floats q{0.3f, -1.2f, 2.0f, 1.9f};
  const NextPolicy policy(q.data(), 4, 0.7f);
  double value = 0.0, total = 0.0;
  for (int a = 0; a < 4; ++a) {
    const auto p = static_cast<double>(policy.probability(a));
    total += p;
    value += p * static_cast<double>(q[static_cast<std::size_t>(a)] + policy.entropy_bonus(a));
    EXPECT_NEAR(policy.entropy_bonus(a), -0.7 * std::log(p), 1e-5);
  }
  EXPECT_NEAR(total, 1.0, 1e-6);
  EXPECT_NEAR(value, soft_value(q.data(), 4, 0.7f), 1e-5);
}

TEST(DuelingHeads, MeanOverActionsIsTheStateValue) {
  const ValueHeads heads{.actions = 3, .support = {.atoms = 1}, .dueling = true};
  Floats row{2.0f, 5.0f, -1.0f, 8.0f};
  EXPECT_FLOAT_EQ((heads.value(row.data(), 0) + heads.value(row.data(), 1) + heads.value(row.data(), 2)) / 3.0f, 2.0f);
  EXPECT_FLOAT_EQ(heads.value(row.data(), 2), 2.0f + 8.0f - 4.0f);
  const float before = heads.value(row.data(), 1);
  for (std::size_t a = 1; a < 4; ++a) row[a] += 10.0f;
  EXPECT_FLOAT_EQ(heads.value(row.data(), 1), before);
}

// The mean is taken over actions for every atom, not over atoms.
TEST(DuelingHeads, SubtractTheMeanOfEveryAtom) {
  const ValueHeads heads{
      .actions = 2, .distribution = ValueDistribution::kQuantile, .support = {.atoms = 3}, .dueling = true};
  const Floats row{1.0f, 2.0f, 3.0f, /*action 0*/ 10.0f, 20.0f, 30.0f, /*action 1*/ 4.0f, 8.0f, 60.0f};
  float z[kMaxAtoms];
  heads.load(WholeRow{}, row.data(), 0, 16, -9.0f, z);
  EXPECT_EQ(Floats(z, z + 4), (Floats{1.0f + 3.0f, 2.0f + 6.0f, 3.0f - 15.0f, -9.0f}));
  heads.load(WholeRow{}, row.data(), 1, 16, -9.0f, z);
  EXPECT_EQ(Floats(z, z + 3), (Floats{1.0f - 3.0f, 2.0f - 6.0f, 3.0f + 15.0f}));
  EXPECT_FLOAT_EQ(heads.mean(WholeRow{}, row.data(), 1, z), (-2.0f - 4.0f + 18.0f) / 3.0f);
}

// Algorithm 1 of Bellemare et al. 2017 on five atoms, by hand.
class Projection : public testing::Test {
 protected:
  Floats project(float reward, float discount) const {
    const Support support{-10.0f, 10.0f, 5};
    Floats p{0.1f, 0.2f, 0.4f, 0.2f, 0.1f}, m(16, 0.0f);
    p.resize(16, 0.0f);
    Floats below(16), above(16);
    add_projection(WholeRow{}, support, p.data(), 16, reward, discount, 1.0f, below.data(), above.data(), m.data());
    EXPECT_NEAR(std::accumulate(m.begin(), m.end(), 0.0f), 1.0f, 1e-6f) << "mass was lost";
    for (std::size_t k = 5; k < 16; ++k) EXPECT_EQ(m[k], 0.0f);
    m.resize(5);
    return m;
  }
  static void expect_near(const Floats& m, const Floats& expected) {
    for (std::size_t k = 0; k < m.size(); ++k) EXPECT_NEAR(m[k], expected[k], 1e-6f) << k;
  }
};

TEST_F(Projection, ShrinksAndMoves) {
  const Floats m = project(1.0f, 0.9f);
  expect_near(m, {0.06f, 0.18f, 0.38f, 0.26f, 0.12f});
  float mean = 0.0f;
  for (int k = 0; k < 5; ++k) mean += m[static_cast<std::size_t>(k)] * static_cast<float>(-10 + 5 * k);
  EXPECT_NEAR(mean, 1.0f, 1e-5f);
}

TEST_F(Projection, KeepsEverythingInPlaceOnWholePositions) {
  EXPECT_EQ(project(0.0f, 1.0f), (Floats{0.1f, 0.2f, 0.4f, 0.2f, 0.1f}));
}

TEST_F(Projection, IsTheRewardAloneAfterATermination) {
  expect_near(project(5.0f, 0.0f), {0, 0, 0, 1, 0});
  expect_near(project(2.0f, 0.0f), {0, 0, 0.6f, 0.4f, 0});
  expect_near(project(-10.0f, 0.0f), {1, 0, 0, 0, 0});
  expect_near(project(10.0f, 0.0f), {0, 0, 0, 0, 1});
}

TEST_F(Projection, EndsCollectWhatFallsBeyond) {
  expect_near(project(100.0f, 0.99f), {0, 0, 0, 0, 1});
  expect_near(project(-1e6f, 0.99f), {1, 0, 0, 0, 0});
}

TEST(CategoricalLoss, IsZeroGradientWhereThePredictionIsRight) {
  const Support support{-1.0f, 1.0f, 3};
  Floats z(16, ValueHeads::kFarBelow), m(16, 0.0f), d(16);
  const Floats p{0.2f, 0.5f, 0.3f};
  for (std::size_t k = 0; k < 3; ++k) {
    m[k] = p[k];
    z[k] = std::log(p[k]) + 4.0f;
  }
  float metrics[DqnRowMetrics::kSize];
  EXPECT_NEAR(categorical_gradient(WholeRow{}, support, z.data(), m.data(), 16, d.data(), metrics), 0.0f, 1e-6f);
  for (const float value : d) EXPECT_NEAR(value, 0.0f, 1e-6f);
  EXPECT_NEAR(metrics[DqnRowMetrics::kLoss], -0.2 * std::log(0.2) - 0.5 * std::log(0.5) - 0.3 * std::log(0.3), 1e-6);
  EXPECT_NEAR(metrics[DqnRowMetrics::kQ], 0.1f, 1e-6f);
  EXPECT_NEAR(metrics[DqnRowMetrics::kTarget], 0.1f, 1e-6f);
}

// One quantile is the median: its loss is half the (Huber) distance.
TEST(QuantileLoss, WeighsErrorsByTheirSide) {
  const Floats theta(16, 1.0f);
  Floats losses(16, 0.0f), d(16, 0.0f);
  const float far = 4.0f, near = 0.5f;
  const QuantileRegression regression(2, 1.0f);
  add_quantile_gradients(WholeRow{}, regression, theta.data(), &far, 1, 16, 0.0f, 1.0f, 1.0f, losses.data(), d.data());
  EXPECT_FLOAT_EQ(losses[0], 0.25f * 2.5f);
  EXPECT_FLOAT_EQ(losses[1], 0.75f * 2.5f);
  EXPECT_FLOAT_EQ(d[0], -0.25f);
  EXPECT_FLOAT_EQ(d[1], -0.75f);
  losses.assign(16, 0.0f);
  d.assign(16, 0.0f);
  add_quantile_gradients(WholeRow{}, regression, theta.data(), &near, 1, 16, 0.0f, 1.0f, 0.5f, losses.data(), d.data());
  EXPECT_FLOAT_EQ(losses[0], 0.5f * 0.75f * 0.125f);
  EXPECT_FLOAT_EQ(d[0], 0.5f * 0.75f * 0.5f);
  EXPECT_FLOAT_EQ(d[1], 0.5f * 0.25f * 0.5f);
}

TEST(QuantileLoss, WithoutThresholdIsTheTiltedDistance) {
  const Floats theta(16, 1.0f);
  Floats losses(16, 0.0f), d(16, 0.0f);
  const float next = 0.5f, reward = 1.0f, discount = 0.5f;
  add_quantile_gradients(WholeRow{}, QuantileRegression(1, 0.0f), theta.data(), &next, 1, 16, reward, discount, 1.0f,
                         losses.data(), d.data());
  EXPECT_FLOAT_EQ(losses[0], 0.125f);
  EXPECT_FLOAT_EQ(d[0], -0.5f);
}

TEST(QuantileLoss, GradientDescentFindsTheQuantiles) {
  constexpr int kAtoms = 4;
  Floats theta(16, 0.0f);
  for (int step = 0; step < 4000; ++step) {
    Floats losses(16, 0.0f), d(16, 0.0f);
    const Floats targets{1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f};
    add_quantile_gradients(WholeRow{}, QuantileRegression(kAtoms, 0.0f), theta.data(), targets.data(), 8, 16, 0.0f,
                           1.0f, 1.0f / 8, losses.data(), d.data());
    for (std::size_t k = 0; k < kAtoms; ++k) theta[k] -= 0.01f * d[k];
  }
  // tau = 1/8, 3/8, 5/8, 7/8 of the values 1 ... 8: anything between two values minimises.
  for (std::size_t k = 0; k < kAtoms; ++k) EXPECT_NEAR(theta[k], 1.5f + 2.0f * static_cast<float>(k), 0.52f) << k;
}

// Two actions with one atom each: what a tile of one row makes of hand-written tables.
struct Row {
  DqnLoss loss;
  Floats outputs, target_outputs, next_q;
  std::int32_t action = 0;
  float reward = 0.0f, discount = 0.0f, importance = 1.0f;

  float target() const { return metrics()[DqnRowMetrics::kTarget]; }
  Floats metrics() const { return run().metrics; }
  Floats d_outputs() const { return run().d_outputs; }
  float priority() const { return run().priority; }

 private:
  struct Result {
    Floats metrics, d_outputs;
    float priority;
  };
  Result run() const {
    std::int32_t taken = action;
    float r = reward, g = discount, weight = importance, priority = -1.0f;
    Result result{Floats(PriorityRowMetrics::kSize), Floats(outputs.size(), 9.0f), 0.0f};
    dqn_tile_loss(Stream::cpu(), loss,
                  {.actions = &taken,
                   .rewards = &r,
                   .discounts = &g,
                   .outputs = outputs.data(),
                   .target_outputs = target_outputs.data(),
                   .output_stride = static_cast<int>(outputs.size()),
                   .rows = 1,
                   .next_q = next_q.data(),
                   .next_stride = static_cast<int>(next_q.size()),
                   .importance = &weight,
                   .d_outputs = result.d_outputs.data(),
                   .metrics = result.metrics.data(),
                   .priorities = &priority});
    result.priority = priority;
    return result;
  }
};

TEST(DoubleDqn, EvaluatesTheOnlineChoiceWithTheTargetNetwork) {
  Row row{.loss = {.heads = {.actions = 2, .support = {.atoms = 1}}, .td = TdLoss::kSquared},
          .outputs = {0.0f, 0.0f},
          .target_outputs = {5.0f, 2.0f},
          .next_q = {1.0f, 3.0f}};
  row.discount = 1.0f;
  EXPECT_EQ(row.target(), 2.0f);
  row.next_q = row.target_outputs;
  EXPECT_EQ(row.target(), 5.0f);
}

TEST(DoubleDqn, ChoosesByMeansNotByAtoms) {
  const ValueHeads heads{.actions = 2, .distribution = ValueDistribution::kCategorical, .support = {-10.0f, 10.0f, 3}};
  // Action 0: all on 0. Action 1: half on each end, a larger single logit nowhere.
  const Floats outputs{-50.0f, 3.0f, -50.0f, 0.0f, -50.0f, 1.0f};
  Floats q(2);
  action_values(Stream::cpu(), heads, outputs.data(), 6, 1, q.data(), 2);
  EXPECT_NEAR(q[0], 0.0f, 1e-5f);
  EXPECT_NEAR(q[1], 10.0 * (std::exp(1.0) - 1.0) / (std::exp(1.0) + 1.0), 1e-4);
  Row row{.loss = {.heads = heads}, .outputs = Floats(6, 0.0f), .target_outputs = outputs, .next_q = {1.0f, 0.0f}};
  row.discount = 0.5f;
  row.reward = 1.0f;
  EXPECT_NEAR(row.target(), 1.0f, 1e-4f);
  row.next_q = q;
  EXPECT_NEAR(row.target(), 1.0f + 0.5f * q[1], 1e-4f);
}

TEST(SoftTargets, AreSoftValuesForEveryKindOfHead) {
  for (const ValueDistribution kind :
       {ValueDistribution::kNone, ValueDistribution::kCategorical, ValueDistribution::kQuantile}) {
    const int atoms = kind == ValueDistribution::kNone ? 1 : 41;
    const ValueHeads heads{.actions = 3, .distribution = kind, .support = {-40.0f, 40.0f, atoms}};
    Floats outputs(static_cast<std::size_t>(3 * atoms));
    for (std::size_t k = 0; k < outputs.size(); ++k) outputs[k] = std::sin(static_cast<float>(k * k));
    Floats q(3);
    action_values(Stream::cpu(), heads, outputs.data(), 3 * atoms, 1, q.data(), 3);
    Row row{.loss = {.heads = heads, .temperature = 0.8f}, .outputs = outputs, .target_outputs = outputs, .next_q = q};
    row.reward = 0.25f;
    row.discount = 0.9f;
    EXPECT_NEAR(row.target(), 0.25f + 0.9f * soft_value(q.data(), 3, 0.8f), 2e-4f);
  }
}

// Importance multiplies the gradient; loss, error and priority stay what they were.
TEST(ImportanceWeights, MultiplyTheGradientAlone) {
  for (const ValueDistribution kind :
       {ValueDistribution::kNone, ValueDistribution::kCategorical, ValueDistribution::kQuantile}) {
    const int atoms = kind == ValueDistribution::kNone ? 1 : 5;
    Row row{.loss = {.heads = {.actions = 2, .distribution = kind, .support = {-10.0f, 10.0f, atoms}, .dueling = true},
                     .weight = 0.5f},
            .outputs = {},
            .target_outputs = {},
            .next_q = {0.0f, 1.0f}};
    for (int k = 0; k < 3 * atoms; ++k) {
      row.outputs.push_back(std::cos(static_cast<float>(k)));
      row.target_outputs.push_back(std::sin(static_cast<float>(k)));
    }
    row.action = 1;
    row.reward = -2.0f;
    row.discount = 0.9f;
    const Floats full = row.d_outputs(), metrics = row.metrics();
    const float priority = row.priority();
    EXPECT_GT(priority, 0.0f);
    EXPECT_EQ(priority, metrics[PriorityRowMetrics::kPriority]);
    if (kind != ValueDistribution::kCategorical) {
      EXPECT_EQ(priority, metrics[DqnRowMetrics::kAbsoluteError]);
    }
    row.importance = 0.25f;
    const Floats weighted = row.d_outputs();
    for (std::size_t j = 0; j < full.size(); ++j) EXPECT_FLOAT_EQ(weighted[j], 0.25f * full[j]);
    EXPECT_EQ(row.priority(), priority);
    EXPECT_EQ(row.metrics()[DqnRowMetrics::kLoss], metrics[DqnRowMetrics::kLoss]);
    EXPECT_EQ(row.metrics()[PriorityRowMetrics::kImportance], 0.25f);
  }
}

// Whatever the number of atoms, the sum of a distribution's gradient is zero and nothing lies outside its columns.
TEST(CategoricalLoss, HandlesOddNumbersOfAtoms) {
  for (const int atoms : {2, 15, 16, 17, 31, 33, 255, 256}) {
    Row row{.loss = {.heads = {.actions = 2,
                               .distribution = ValueDistribution::kCategorical,
                               .support = {-3.0f, 5.0f, atoms}}},
            .outputs = Floats(static_cast<std::size_t>(2 * atoms + 7)),
            .target_outputs = {},
            .next_q = {1.0f, 0.0f}};
    for (std::size_t k = 0; k < row.outputs.size(); ++k) row.outputs[k] = std::sin(3.0f * static_cast<float>(k));
    row.target_outputs = row.outputs;
    row.action = 1;
    row.reward = 0.3f;
    row.discount = 0.7f;
    const Floats d = row.d_outputs();
    float sum = 0.0f;
    for (std::size_t k = 0; k < d.size(); ++k) {
      const auto n = static_cast<std::size_t>(atoms);
      if (k >= n && k < 2 * n) {
        sum += d[k];
      } else {
        EXPECT_EQ(d[k], 0.0f) << atoms << ' ' << k;
      }
    }
    EXPECT_NEAR(sum, 0.0f, 1e-5f) << atoms;
    EXPECT_TRUE(std::isfinite(row.metrics()[DqnRowMetrics::kLoss]));
  }
}

}  // namespace
}  // namespace stampede
