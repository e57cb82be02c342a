// SPDX-License-Identifier: Apache-2.0
// PPO's minibatches: every row once, advantages normalised over valid rows, no gradient from reset rows.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "agents/choose_gaussian.h"
#include "agents/losses/any_policy_loss.h"
#include "agents/policy_gradient_steps.h"
#include "agents/ppo_steps.h"
#include "tests/unit/ring_rows.h"

namespace stampede {
namespace {

// Minibatches of a hand-filled ring with reset rows in it.
class MinibatchSteps : public testing::Test {
 protected:
  static constexpr int kEnvironments = 3, kRows = 11, kSize = kEnvironments * kRows;

  MinibatchSteps() : hand_(shape()), arena_(Device{}) {
    for (int t = 0; t < kRows; ++t) {
      for (int i = 0; i < kEnvironments; ++i) {
        hand_.write(t, i, {0.0f, (t + i) % 4 == 0 ? 0u : kValid, 0.0f});
        hand_.extra(t, i)[RolloutExtra::kAdvantage] = static_cast<float>(std::sin(3.0 * t + i) + 5.0);
        hand_.extra(t, i)[RolloutExtra::kReturn] = static_cast<float>(t * kEnvironments + i);
        static_cast<float*>(hand_.ring().obs(t))[i] = static_cast<float>(t * kEnvironments + i);
      }
    }
    RolloutBatch::take(shape(), action_, kSize, arena_);
    arena_.allocate("test");
    batch_ = RolloutBatch::take(shape(), action_, kSize, arena_);
  }

  static RingShape shape() { return {kEnvironments, kRows, 1, ObsType::kFloat32, RecordLayout::for_action_size(1), 4}; }
  void gather(int begin, int size) {
    gather_minibatch(Stream::cpu(), hand_.view(), action_, {permutation_, begin, size}, batch_);
  }
  MinibatchMoments measure(int size, AdvantageScaling scaling) {
    MomentPart parts[kMomentParts];
    MinibatchMoments moments;
    measure_minibatch(Stream::cpu(), batch_, size, scaling, parts, &moments);
    return moments;
  }

  Space action_ = Space::discrete(2);
  Permutation permutation_{{1, 2, Purpose::kPermutation}, kSize};
  HandRing hand_;
  Arena arena_;
  RolloutBatch batch_;
};

TEST_F(MinibatchSteps, SlicesOfThePermutationVisitEveryRowOnce) {
  std::vector<int> seen(kSize);
  for (const auto& [begin, size] : {std::pair{0, 17}, std::pair{17, 1}, std::pair{18, 15}}) {
    gather(begin, size);
    for (int m = 0; m < size; ++m) {
      const auto row = static_cast<std::size_t>(batch_.target[m]);
      EXPECT_EQ(++seen[row], 1);
      EXPECT_EQ(reinterpret_cast<const float*>(batch_.obs)[m], batch_.target[m]) << "fields of different rows";
      EXPECT_EQ(batch_.valid[m] != 0, (hand_.view().flags(row) & kValid) != 0);
    }
  }
  for (const int count : seen) EXPECT_EQ(count, 1);
}

TEST_F(MinibatchSteps, AdvantagesAreNormalisedOverTheValidRowsOfTheMinibatch) {
  for (const auto& [begin, size] : {std::pair{0, 33}, std::pair{5, 9}, std::pair{27, 6}}) {
    gather(begin, size);
    double count = 0, sum = 0, squares = 0;
    for (int m = 0; m < size; ++m) {
      if (!batch_.valid[m]) continue;
      const double a = static_cast<double>(batch_.advantage[m]);
      count += 1;
      sum += a;
      squares += a * a;
    }
    ASSERT_GT(count, 1);
    ASSERT_LT(count, size);
    const MinibatchMoments moments = measure(size, AdvantageScaling::kNormalize);
    const double deviation = std::sqrt((squares - sum * sum / count) / (count - 1));
    EXPECT_NEAR(moments.advantage_mean, sum / count, 1e-5);
    EXPECT_NEAR(moments.advantage_inverse, 1 / deviation, 1e-3 / deviation);
    EXPECT_NEAR(moments.divisor, 1 / count, 1e-7);
    const MinibatchMoments plain = measure(size, AdvantageScaling::kNone);
    EXPECT_EQ(plain.advantage_mean, 0.0f);
    EXPECT_EQ(plain.advantage_inverse, 1.0f);
    EXPECT_NEAR(plain.divisor, 1 / count, 1e-7);
    const MinibatchMoments centered = measure(size, AdvantageScaling::kCenter);
    EXPECT_EQ(centered.advantage_mean, moments.advantage_mean);
    EXPECT_EQ(centered.advantage_inverse, 1.0f);
  }
}

TEST_F(MinibatchSteps, OneValidRowOrNoneIsNotDividedByItsSpread) {
  for (int begin = 0; begin < kSize; ++begin) {
    gather(begin, 1);
    const MinibatchMoments moments = measure(1, AdvantageScaling::kNormalize);
    EXPECT_EQ(moments.advantage_inverse, 1.0f);
    EXPECT_EQ(moments.advantage_mean, 0.0f);
    EXPECT_EQ(moments.divisor, 1.0f);
  }
}

TEST_F(MinibatchSteps, ResetRowsGetNoGradient) {
  gather(0, kSize);
  const PolicyLayout layout{action_, 16, 0, 2, nullptr};
  std::vector<float> outputs(kSize * 16, 0.25f), d_outputs(kSize * 16, 0.0f);
  std::vector<float> metrics(kSize * PolicyRowMetrics::kSize, 9.0f);
  for (std::size_t r = 0; r < kSize; ++r) {
    for (std::size_t j = 0; j < 3; ++j) d_outputs[r * 16 + j] = 9.0f;
  }
  const MinibatchMoments moments{0.0f, 1.0f, 1.0f};
  ppo_tile_loss(Stream::cpu(), PpoLossConfig{}, layout, batch_, &moments,
                {outputs.data(), {}, d_outputs.data(), nullptr, metrics.data(), 0, kSize});
  int valid_rows = 0;
  for (std::size_t r = 0; r < kSize; ++r) {
    const bool valid = batch_.valid[r] != 0;
    valid_rows += valid;
    double magnitude = 0.0;
    for (std::size_t j = 0; j < 3; ++j) magnitude += std::abs(static_cast<double>(d_outputs[r * 16 + j]));
    EXPECT_EQ(magnitude > 0.0, valid) << r;
    EXPECT_EQ(metrics[PolicyRowMetrics::kCount * kSize + r], valid ? 1.0f : 0.0f);
    EXPECT_TRUE(valid || metrics[PolicyRowMetrics::kValueLoss * kSize + r] == 0.0f);
    for (std::size_t j = 3; j < 16; ++j) EXPECT_EQ(d_outputs[r * 16 + j], 0.0f) << "padding";
  }
  EXPECT_GT(valid_rows, 20);
  EXPECT_LT(valid_rows, 30);
}

// Rows of a Gaussian policy with one dimension, some of them invalid.
struct GaussianRows {
  explicit GaussianRows(int count) : rows(count) {
    const auto value = [](int i, std::uint32_t draw) {
      const RandomKey key{3, draw, Purpose::kPermutation};
      return 4.0f * uniform_float(key.lane_word(static_cast<std::uint32_t>(i))) - 2.0f;
    };
    for (int i = 0; i < kStride * rows; ++i) outputs.push_back(value(i, 0));
    for (int m = 0; m < rows; ++m) {
      for (std::uint32_t field = 0; field < 5; ++field) fields[field].push_back(value(m, field + 1));
      valid.push_back(m % 5 != 3);
    }
    layout.action = Space::box({-1.0f}, {1.5f});
    layout.output_stride = kStride;
    layout.value_column = 16;
    layout.log_sigma = &log_sigma;
    batch.raw_action = fields[0].data();
    batch.old_log_prob = fields[1].data();
    batch.old_value = fields[2].data();
    batch.advantage = fields[3].data();
    batch.target = fields[4].data();
    batch.valid = valid.data();
    batch.stride = rows;
  }

  struct Gradients {
    std::vector<float> outputs, log_sigma, metrics;
    bool operator==(const Gradients&) const = default;
  };
  template <class Loss>
  Gradients differentiate(const Loss& loss) {
    const auto n = static_cast<std::size_t>(rows);
    Gradients g{std::vector<float>(n * kStride, 1.0f), std::vector<float>(n * 16, 1.0f),
                std::vector<float>(n * PolicyRowMetrics::kSize, 1.0f)};
    const PolicyTile tile{
        outputs.data(), {&log_sigma, 0}, g.outputs.data(), g.log_sigma.data(), g.metrics.data(), 0, rows};
    run(loss, tile);
    return g;
  }

  void run(const auto& loss, const PolicyTile& tile) const {
    ppo_tile_loss(Stream::cpu(), loss, layout, batch, &moments, tile);
  }
  void run(const PolicyGradientLoss& loss, const PolicyTile& tile) const {
    policy_gradient_tile_loss(Stream::cpu(), loss, layout, batch, &moments, tile);
  }
  void run(const AnyPolicyLoss& loss, const PolicyTile& tile) const {
    run_policy_loss(Stream::cpu(), {loss, layout, batch, &moments, tile});
  }

  static constexpr int kStride = 32;
  int rows;
  std::vector<float> outputs, fields[5];
  std::vector<std::int32_t> valid;
  float log_sigma = -0.3f;
  PolicyLayout layout;
  RolloutBatch batch;
  MinibatchMoments moments{0.1f, 1.3f, 0.01f};
};

TEST(GaussianSteps, OneDimensionHasTheGradientOfAnyNumberOfThem) {
  for (const int rows : {1, 31, 33, 257}) {
    GaussianRows data(rows);
    const PpoLossConfig clip{0.2f, 0.3f, 0.01f, 0.5f};
    const float kl_weight = 0.7f;
    const PpoPenaltyLoss penalty{&kl_weight, 0.01f, 0.5f};
    const PolicyGradientLoss plain{0.01f, 0.5f};
    EXPECT_EQ(data.differentiate(clip), data.differentiate(AnyPolicyLoss(clip))) << rows;
    EXPECT_EQ(data.differentiate(penalty), data.differentiate(AnyPolicyLoss(penalty))) << rows;
    EXPECT_EQ(data.differentiate(plain), data.differentiate(AnyPolicyLoss(plain))) << rows;
    EXPECT_NE(data.differentiate(clip), data.differentiate(plain)) << rows;
  }
}

TEST(GaussianSteps, OneDimensionIsSampledAsAnyNumberOfThem) {
  for (const int rows : {1, 4, 31, 33, 257}) {
    GaussianRows data(rows);
    const RandomKey key{5, 11, Purpose::kAction};
    for (const bool greedy : {false, true}) {
      std::vector<std::uint32_t> records[2];
      std::vector<float> extra[2];
      for (const int general : {0, 1}) {
        records[general].resize(static_cast<std::size_t>(rows + 3) * 4, 9);
        extra[general].resize(static_cast<std::size_t>(rows + 3) * 8, 9.0f);
        const PolicyRows to{data.outputs.data(),
                            {&data.log_sigma, 0},
                            nullptr,
                            records[general].data(),
                            extra[general].data(),
                            8,
                            RecordLayout::for_action_size(1),
                            3,
                            rows};
        const ChooseGaussianOp any{data.layout, to, key, greedy};
        for (int r = 0; r < rows && general == 1; ++r) any(r);
        if (general == 0) {
          choose_actions(Stream::cpu(), data.layout, to, key, greedy ? ActionMode::kGreedy : ActionMode::kSample);
        }
      }
      EXPECT_EQ(records[0], records[1]) << rows;
      EXPECT_EQ(extra[0], extra[1]) << rows;
      EXPECT_NE(records[0][3 * 4], 9u);
    }
  }
}

}  // namespace
}  // namespace stampede
