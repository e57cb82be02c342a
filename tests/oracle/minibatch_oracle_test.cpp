// SPDX-License-Identifier: Apache-2.0
// PPO's whole minibatch, from the ring to the gradient, against the mean loss of its valid rows in LibTorch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>

#include "agents/ppo_steps.h"
#include "kernels/arena.h"
#include "tests/oracle/random_cases.h"

namespace stampede {
namespace {

// Outputs [rows, 32]: the policy in columns 0 ..., the value in column 16.
constexpr int kStride = 32, kValueColumn = 16;

bool is_valid(std::size_t k) { return k % 7 != 3; }

// A rollout of one environment whose rows are the given cases, and the minibatch of all of them.
class Minibatches {
 public:
  Minibatches(const std::vector<PolicyCase>& cases, const Space& action)
      : rows_(static_cast<int>(cases.size())),
        action_(action),
        arena_(Device{}),
        shape_{1,
               rows_,
               1,
               ObsType::kFloat32,
               RecordLayout::for_action_size(action.size),
               RolloutExtra::size(!action.is_discrete(), action.size)} {
    take();
    arena_.allocate("test");
    take();
    for (std::size_t k = 0; k < cases.size(); ++k) fill(static_cast<int>(k), cases[k]);
    measure();
  }

  const RolloutBatch& batch() const { return batch_; }
  const MinibatchMoments& moments() const { return moments_; }
  // The row of the rollout at a position of the minibatch.
  std::size_t row(std::size_t position) const { return permutation()(static_cast<std::uint32_t>(position)); }

 private:
  Permutation permutation() const { return {{1, 0, Purpose::kPermutation}, static_cast<std::uint32_t>(rows_)}; }

  void take() {
    ring_ = std::make_unique<TrajectoryRing>(shape_, arena_);
    batch_ = RolloutBatch::take(shape_, action_, rows_, arena_);
  }

  void fill(int slot, const PolicyCase& row) {
    std::uint32_t* const record = ring_->records(slot);
    float* const extra = ring_->extra(slot);
    extra[RolloutExtra::kLogProb] = row.sample.old_log_prob;
    extra[RolloutExtra::kValue] = row.sample.old_value;
    extra[RolloutExtra::kAdvantage] = row.sample.advantage;
    extra[RolloutExtra::kReturn] = row.sample.target;
    if (action_.is_discrete()) {
      record[0] = static_cast<std::uint32_t>(row.action[0]);
    } else {
      std::copy(row.action.begin(), row.action.end(), extra + RolloutExtra::kAction);
    }
    record[shape_.record.action_size + 1] = is_valid(static_cast<std::size_t>(slot)) ? kValid : 0u;
  }

  void measure() {
    const Stream stream = Stream::cpu(2);
    std::vector<MomentPart> parts(kMomentParts);
    gather_minibatch(stream, ring_->view(), action_, {permutation(), 0, rows_}, batch_);
    measure_minibatch(stream, batch_, rows_, AdvantageScaling::kNormalize, parts.data(), &moments_);
  }

  int rows_;
  Space action_;
  Arena arena_;
  RingShape shape_;
  std::unique_ptr<TrajectoryRing> ring_;
  RolloutBatch batch_;
  MinibatchMoments moments_{};
};

struct Derivatives {
  std::vector<float> d_outputs, d_log_sigma;
  double count = 0.0;  // of valid rows, as the metrics have it
};

Derivatives native_derivatives(const Minibatches& minibatch, const std::vector<PolicyCase>& cases,
                               const Space& action) {
  const std::size_t rows = cases.size();
  std::vector<float> outputs(rows * kStride), metrics(rows * PolicyRowMetrics::kSize);
  for (std::size_t r = 0; r < rows; ++r) {
    const PolicyCase& row = cases[minibatch.row(r)];
    std::copy(row.policy.begin(), row.policy.end(), &outputs[r * kStride]);
    outputs[r * kStride + kValueColumn] = row.value;
  }
  const PolicyLayout layout{action, kStride, 0, kValueColumn, cases[0].log_sigma.data()};
  Derivatives d{std::vector<float>(rows * kStride, 7.0f), std::vector<float>(rows * 16, 7.0f)};
  const std::size_t cut = rows / 3;  // two tiles of different sizes
  for (const auto& [begin, end] : {std::pair{std::size_t{0}, cut}, std::pair{cut, rows}}) {
    const auto size = static_cast<int>(end - begin);
    ppo_tile_loss(Stream::cpu(2), cases[0].config, layout, minibatch.batch(), &minibatch.moments(),
                  {&outputs[begin * kStride],
                   {cases[0].log_sigma.data(), 0},
                   &d.d_outputs[begin * kStride],
                   action.is_discrete() ? nullptr : &d.d_log_sigma[begin * 16],
                   metrics.data(),
                   static_cast<int>(begin),
                   size});
    for (int r = 0; r < size; ++r) d.count += metrics[static_cast<std::size_t>(PolicyRowMetrics::kCount * size + r)];
  }
  return d;
}

// By row of the rollout, advantages normalised over the valid ones.
std::vector<PolicyReference> references(std::vector<PolicyCase> cases) {
  std::vector<float> advantages;
  for (std::size_t k = 0; k < cases.size(); ++k) {
    if (is_valid(k)) advantages.push_back(cases[k].sample.advantage);
  }
  const std::vector<double> normalized = normalized_reference(advantages);
  std::vector<PolicyReference> all;
  for (std::size_t k = 0, v = 0; k < cases.size(); ++k) {
    if (is_valid(k)) cases[k].sample.advantage = static_cast<float>(normalized[v++]);
    all.push_back(policy_reference(cases[k]));
  }
  return all;
}

// Derivatives of the mean are those of a row divided by the number of valid rows, and 0 on invalid rows.
void check_minibatch(std::vector<PolicyCase> cases, const Space& action) {
  SCOPED_TRACE(std::to_string(cases.size()) + " rows, " + std::to_string(action.count) + " actions");
  const PpoLossConfig config = cases[1].config;
  for (PolicyCase& row : cases) row.config = config;
  const Minibatches minibatch(cases, action);
  const Derivatives native = native_derivatives(minibatch, cases, action);
  const std::vector<PolicyReference> reference = references(cases);
  std::set<std::size_t> seen;
  for (std::size_t r = 0; r < cases.size(); ++r) {
    const std::size_t k = minibatch.row(r);
    seen.insert(k);
    const auto expect = [&](float derivative, double expected) {
      const double wanted = is_valid(k) ? expected : 0.0;
      EXPECT_NEAR(derivative * native.count, wanted, 2e-5 * std::max(1.0, std::fabs(wanted))) << "row " << k;
    };
    for (std::size_t j = 0; j < cases[k].policy.size(); ++j) {
      expect(native.d_outputs[r * kStride + j], reference[k].d_policy[j]);
    }
    for (std::size_t j = 0; j < cases[k].log_sigma.size(); ++j) {
      expect(native.d_log_sigma[r * 16 + j], reference[k].d_log_sigma[j]);
    }
    expect(native.d_outputs[r * kStride + kValueColumn], reference[k].d_value);
    EXPECT_EQ(native.d_outputs[r * kStride + kValueColumn + 1], 0.0f);
  }
  EXPECT_EQ(seen.size(), cases.size());
  std::size_t valid = 0;
  for (std::size_t k = 0; k < cases.size(); ++k) valid += is_valid(k);
  EXPECT_EQ(native.count, static_cast<double>(valid));
}

TEST(MinibatchOracle, CategoricalDerivativesAreThoseOfTheMeanLoss) {
  for (const int rows : {2, 31, 257}) {
    for (const int actions : {2, 3, 4, 5}) check_minibatch(categorical_cases(rows, actions), Space::discrete(actions));
  }
}

TEST(MinibatchOracle, GaussianDerivativesAreThoseOfTheMeanLoss) {
  const float low[3] = {-1.0f, -1.0f, -1.0f}, high[3] = {1.0f, 1.0f, 1.0f};
  for (const int rows : {2, 31, 257}) check_minibatch(gaussian_cases(rows, 3), Space::box(low, high));
}

}  // namespace
}  // namespace stampede
