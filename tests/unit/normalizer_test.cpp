// SPDX-License-Identifier: Apache-2.0
// Running statistics of observations and returns, against plain loops in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "agents/input_stage.h"
#include "agents/normalizer.h"
#include "kernels/buffer.h"
#include "tests/unit/ring_rows.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

constexpr int kEnvironments = 3, kRows = 11, kFeatures = 2;

class Normalizers : public testing::Test {
 protected:
  Normalizers() : hand_({kEnvironments, kRows, kFeatures, ObsType::kFloat32, RecordLayout::for_action_size(1), 4}) {}

  // Fills the ring with other numbers for every `round`: row (t, i) is a reset where (t + i) % 5 == 4, behind an end.
  void fill(int round) {
    for (int t = 0; t < kRows; ++t) {
      for (int i = 0; i < kEnvironments; ++i) {
        const int phase = (t + i) % 5;
        const std::uint32_t flags = phase == 4 ? 0u : phase == 3 ? kValid | kTruncated : kValid;
        hand_.write(t, i, {phase == 4 ? 0.0f : static_cast<float>(1 + t + i * round), flags, 0.0f});
        for (int d = 0; d < kFeatures; ++d) {
          obs(t)[i * kFeatures + d] = static_cast<float>(100 * d + std::sin(t + 7.0 * i + round));
        }
      }
    }
  }
  float* obs(int t) { return static_cast<float*>(hand_.ring().obs(t)); }
  bool valid(int t, int i) const { return hand_.view().flags(hand_.view().index(t, i)) & kValid; }

  Stream stream_ = Stream::cpu();
  HandRing hand_;
};

TEST_F(Normalizers, ObservationMomentsAreThoseOfAllValidRowsSoFar) {
  Arena arena{Device{}};
  ObservationNormalizer(true, hand_.ring().shape(), arena);
  arena.allocate("test");
  ObservationNormalizer normalizer(true, hand_.ring().shape(), arena);
  normalizer.initialize(stream_);
  EXPECT_EQ(normalizer.mean()[1], 0.0f);
  EXPECT_NEAR(normalizer.inverse()[1], 1.0f, 1e-6);
  double count = 0.0, sum[kFeatures] = {}, squares[kFeatures] = {};
  for (int round = 1; round <= 3; ++round) {
    fill(round);
    normalizer.update(stream_, hand_.view());
    for (int t = 0; t < kRows; ++t) {
      for (int i = 0; i < kEnvironments; ++i) {
        if (!valid(t, i)) continue;
        count += 1.0;
        for (int d = 0; d < kFeatures; ++d) {
          const double x = static_cast<double>(obs(t)[i * kFeatures + d]);
          sum[d] += x;
          squares[d] += x * x;
        }
      }
    }
    for (int d = 0; d < kFeatures; ++d) {
      const double mean = sum[d] / count, variance = squares[d] / count - mean * mean;
      EXPECT_NEAR(normalizer.mean()[d], mean, 1e-4);
      EXPECT_NEAR(normalizer.inverse()[d], 1.0 / std::sqrt(variance), 1e-3);
    }
  }
}

TEST_F(Normalizers, RewardsAreDividedByTheDeviationOfDiscountedReturns) {
  constexpr double kGamma = 0.9;
  Arena arena{Device{}};
  RewardScaler(true, kEnvironments, arena);
  arena.allocate("test");
  RewardScaler scaler(true, kEnvironments, arena);
  scaler.initialize(stream_);
  EXPECT_NEAR(*scaler.scale(), 1.0f, 1e-6);
  double count = 0.0, sum = 0.0, squares = 0.0, running[kEnvironments] = {};
  for (int round = 1; round <= 3; ++round) {
    fill(round);
    scaler.update(stream_, hand_.view(), static_cast<float>(kGamma));
    for (int t = 0; t < kRows; ++t) {
      for (int i = 0; i < kEnvironments; ++i) {
        if (!valid(t, i)) continue;
        const std::size_t index = hand_.view().index(t, i);
        running[i] = kGamma * running[i] + static_cast<double>(hand_.view().reward(index));
        count += 1.0;
        sum += running[i];
        squares += running[i] * running[i];
        if (hand_.view().flags(index) & kEpisodeEnd) running[i] = 0.0;
      }
    }
    const double mean = sum / count;
    EXPECT_NEAR(*scaler.scale(), 1.0 / std::sqrt(squares / count - mean * mean), 1e-5) << round;
  }
}

TEST_F(Normalizers, SwitchedOffTheyDoNothing) {
  Arena arena{Device{}};
  ObservationNormalizer(false, hand_.ring().shape(), arena);
  arena.allocate("test");
  ObservationNormalizer normalizer(false, hand_.ring().shape(), arena);
  normalizer.initialize(stream_);
  fill(1);
  normalizer.update(stream_, hand_.view());
  EXPECT_EQ(normalizer.moments()[0].count, 0.0);
  Arena other{Device{}};
  EXPECT_EQ(RewardScaler(false, kEnvironments, other).scale(), nullptr);
}

TEST_F(Normalizers, InputsAreClippedAtTenDeviations) {
  Arena arena{Device{}};
  const NetworkSpec spec(kFeatures, false, {{"q", {16}, Activation::kTanh, {{"q", 2, 1.0f}}}});
  const auto make = [&] { return ObservationNormalizer(true, hand_.ring().shape(), arena); };
  make();
  InputRows::take(spec, 1, arena);
  arena.allocate("test");
  ObservationNormalizer normalizer = make();
  const InputRows inputs = InputRows::take(spec, 1, arena);
  normalizer.initialize(stream_);
  fill(1);
  normalizer.update(stream_, hand_.view());
  const float extreme[kFeatures] = {1e6f, -1e6f};
  prepare_inputs(stream_, spec, normalizer, extreme, 0, 1, inputs);
  EXPECT_EQ(inputs.features[0], 10.0f);
  EXPECT_EQ(inputs.features[1], -10.0f);
  EXPECT_EQ(inputs.features[2], 0.0f) << "padding";
}

// Scaled rewards make scaled values: without the scaler's factor the targets stay at 10.
TEST(NormalizedTraining, TargetsAreScaled) {
  TrainingRun run("ppo", "ConstantReward-v0",
                  {{"num_envs", "16"},
                   {"rollout_steps", "16"},
                   {"gamma", "0.9"},
                   {"hidden", "16"},
                   {"learning_rate", "0.01"},
                   {"normalize_rewards", "true"},
                   {"max_grad_norm", "10"}});
  run.run_to(60'000);
  const StateBlock moments = run.block("return_moments");
  const auto* const m = static_cast<const double*>(moments.data);
  const double expected = 10.0 / std::sqrt(m[2] / m[0]);
  const auto column = static_cast<std::size_t>(run.output_column("value"));
  EXPECT_NEAR(run.outputs_of_classes(8)[column], expected, 0.05 * expected);
  EXPECT_GT(std::abs(expected - 10.0), 2.0) << "the scale is one here and shows nothing";
}

// Random numbers never restart: every episode of a long run has a number of its own.
TEST(NormalizedTraining, RolloutsDrawNewNumbers) {
  TrainingRun run("ppo", "EpisodeClock-v0", {{"num_envs", "3"}, {"rollout_steps", "16"}, {"hidden", "16"}});
  std::multiset<float> starts;
  for (int iteration = 0; iteration < 8; ++iteration) {
    run.iterate(1);
    const auto* const obs = static_cast<const float*>(run.block("ring.obs").data);
    for (int row = 3; row < 17 * 3; ++row) {
      if (obs[2 * row + 1] == 0.0f) starts.insert(obs[2 * row]);
    }
  }
  EXPECT_GT(starts.size(), 50u);
  EXPECT_EQ(std::set<float>(starts.begin(), starts.end()).size(), starts.size());
}

}  // namespace
}  // namespace stampede
