// SPDX-License-Identifier: Apache-2.0
#include "agents/state_noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "agents/policy_steps.h"
#include "kernels/error.h"
#include "tests/unit/ppo_rig.h"
#include "tests/unit/state_noise_rig.h"

namespace stampede {
namespace {

float noise_of(std::uint64_t seed, int i) {
  const auto row = static_cast<std::uint64_t>(i);
  return 2.0f * uniform_float(RandomKey{seed, row, Purpose::kPermutation}.lane_word(0)) - 1.0f;
}

void fill(StateNoiseRig& rig, int features, int actions, int rows) {
  for (int k = 0; k < features; ++k) {
    for (int j = 0; j < actions; ++j) rig.log_sigma(k, j) = 0.5f * noise_of(1, k * 16 + j) - 0.5f;
  }
  for (int r = 0; r < rows; ++r) {
    for (int k = 0; k < features; ++k) rig.feature(r, k) = noise_of(2, r * 1000 + k);
  }
}

// z = (0.5, -1, 2), sigma = (1, 2, 0.5) and (0.1, 0.2, 0.3): variances 0.25 + 4 + 1 = 5.25 and
// 0.0025 + 0.04 + 0.36 = 0.4025.
TEST(StateNoise, VarianceAndLogProbabilityByHand) {
  StateNoiseRig rig({true, 1, false}, 3, 2, 1);
  const float z[] = {0.5f, -1.0f, 2.0f}, sigma[3][2] = {{1.0f, 0.1f}, {2.0f, 0.2f}, {0.5f, 0.3f}};
  for (int k = 0; k < 3; ++k) {
    rig.feature(0, k) = z[k];
    for (int j = 0; j < 2; ++j) rig.log_sigma(k, j) = std::log(sigma[k][j]);
  }
  const float* const log_sigma = rig.measure();
  EXPECT_NEAR(log_sigma[0], 0.829114, 2e-6);   // log(5.25) / 2
  EXPECT_NEAR(log_sigma[1], -0.455029, 2e-6);  // log(0.402501) / 2
  // Means (1, -1) and noise (0.5, -1): -0.25 / 10.5 - 1 / 0.805002 - 0.829114 + 0.455029 - log(2 pi).
  const float means[16] = {1.0f, -1.0f}, noise[16] = {0.5f, -1.0f};
  float extra[8] = {};
  std::uint32_t records[4] = {};
  const Space space = Space::box<2>({-1.0f, -5.0f}, {1.0f, 5.0f});
  choose_actions(rig.stream, {space, 16, 0, 6},
                 {means, {log_sigma, 16}, noise, records, extra, 8, RecordLayout::for_action_size(2), 0, 1},
                 {1, 2, Purpose::kAction}, ActionMode::kSample);
  EXPECT_NEAR(extra[RolloutExtra::kLogProb], -3.478006, 5e-6);
  EXPECT_EQ(extra[RolloutExtra::kAction], 1.5f);
  EXPECT_EQ(extra[RolloutExtra::kAction + 1], -2.0f);
  EXPECT_EQ(bits_float(records[0]), 1.0f);  // clipped for the environment alone
  EXPECT_EQ(bits_float(records[1]), -2.0f);
}

TEST(StateNoise, DeviationsOfOddSizes) {
  for (const int features : {1, 31, 33, 257}) {
    for (const int actions : {1, 3, 16}) {
      constexpr int kRows = 33;
      StateNoiseRig rig({true, 1, false}, features, actions, kRows);
      fill(rig, features, actions, kRows);
      const float* const log_sigma = rig.measure();
      for (int r = 0; r < kRows; ++r) {
        for (int j = 0; j < actions; ++j) {
          double variance = 1e-6;
          for (int k = 0; k < features; ++k) {
            variance += std::pow(rig.feature(r, k), 2) * std::exp(2.0 * static_cast<double>(rig.log_sigma(k, j)));
          }
          ASSERT_NEAR(log_sigma[r * 16 + j], 0.5 * std::log(variance), 3e-6) << features << ' ' << actions;
        }
      }
    }
  }
}

// theta^T z of a theta that only the interval, the environment and the seed name.
TEST(StateNoise, StaysAFunctionOfTheStateThroughAnInterval) {
  constexpr int kFeatures = 33, kRows = 31;
  StateNoiseRig rig({true, 5, false}, kFeatures, 2, kRows);
  fill(rig, kFeatures, 2, kRows);
  const std::vector<float> first = rig.draw(7, 10);
  for (const std::uint64_t row : {11, 12, 13, 14}) EXPECT_EQ(rig.draw(7, row), first) << row;
  const std::vector<float> next = rig.draw(7, 15), before = rig.draw(7, 9), other = rig.draw(8, 10);
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < 2; ++j) {
      const auto at = static_cast<std::size_t>(r * 16 + j);
      EXPECT_NE(first[at], 0.0f);
      EXPECT_NE(first[at], next[at]);
      EXPECT_NE(first[at], before[at]);
      EXPECT_NE(first[at], other[at]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int k = 0; k < kFeatures; ++k) rig.feature(r, k) *= -2.0f;
  }
  const std::vector<float> twice = rig.draw(7, 12);
  for (std::size_t i = 0; i < first.size(); i += 16) EXPECT_EQ(twice[i], -2.0f * first[i]);
}

TEST(StateNoise, BelongsToEnvironmentsAndNotToBlocks) {
  StateNoiseRig all({true, 1, false}, 17, 3, 8), last({true, 1, false}, 17, 3, 3);
  fill(all, 17, 3, 8);
  fill(last, 17, 3, 3);
  for (int r = 0; r < 3; ++r) {
    for (int k = 0; k < 17; ++k) last.feature(r, k) = all.feature(5 + r, k);
  }
  const std::vector<float> of_all = all.draw(1, 2), of_last = last.draw(1, 2, 5);
  EXPECT_EQ(std::vector<float>(of_all.begin() + 5 * 16, of_all.end()), of_last);
}

// Over environments and intervals: mean 0, the measured variance, no correlation between actions, and a fourth moment
// of three squared variances, as Gaussians have it.
TEST(StateNoise, HasTheMeasuredVariance) {
  constexpr int kFeatures = 31, kRows = 257, kDraws = 100;
  StateNoiseRig rig({true, 1, false}, kFeatures, 2, kRows);
  fill(rig, kFeatures, 2, 1);
  for (int r = 1; r < kRows; ++r) {
    for (int k = 0; k < kFeatures; ++k) rig.feature(r, k) = rig.feature(0, k);
  }
  const float* const log_sigma = rig.measure();
  const double deviation[2] = {std::exp(static_cast<double>(log_sigma[0])),
                               std::exp(static_cast<double>(log_sigma[1]))};
  double sum[2] = {}, square[2] = {}, fourth[2] = {}, product = 0.0;
  for (std::uint64_t row = 0; row < kDraws; ++row) {
    const std::vector<float> noise = rig.draw(3, row);
    for (int r = 0; r < kRows; ++r) {
      const double x[2] = {static_cast<double>(noise[static_cast<std::size_t>(r * 16)]) / deviation[0],
                           static_cast<double>(noise[static_cast<std::size_t>(r * 16 + 1)]) / deviation[1]};
      for (int j = 0; j < 2; ++j) {
        sum[j] += x[j];
        square[j] += x[j] * x[j];
        fourth[j] += x[j] * x[j] * x[j] * x[j];
      }
      product += x[0] * x[1];
    }
  }
  const double count = kRows * kDraws, error = 4.0 / std::sqrt(count);
  for (int j = 0; j < 2; ++j) {
    EXPECT_NEAR(sum[j] / count, 0.0, error);
    EXPECT_NEAR(square[j] / count, 1.0, std::sqrt(2.0) * error);
    EXPECT_NEAR(fourth[j] / count, 3.0, std::sqrt(96.0) * error);
  }
  EXPECT_NEAR(product / count, 0.0, error);
}

// d/dx of sum_rj c_rj log_sigma_rj, by central differences.
TEST(StateNoise, GradientsEqualDifferences) {
  constexpr int kFeatures = 5, kActions = 3, kRows = 33;
  StateNoiseRig rig({true, 1, true}, kFeatures, kActions, kRows), plain({true, 1, false}, kFeatures, kActions, kRows);
  fill(rig, kFeatures, kActions, kRows);
  fill(plain, kFeatures, kActions, kRows);
  const auto weight = [](int r, int j) { return noise_of(3, r * 16 + j); };
  const auto weigh = [&](StateNoiseRig& any) {
    any.measure();
    for (int r = 0; r < kRows; ++r) {
      for (int j = 0; j < kActions; ++j) any.d_log_sigma(r)[j] = weight(r, j);
    }
    any.backward();
  };
  weigh(rig);
  weigh(plain);
  const auto slope = [&](float& varied) {
    const auto loss = [&](float at) {
      const float kept = varied;
      varied = at;
      const float* const log_sigma = rig.measure();
      double sum = 0.0;
      for (int r = 0; r < kRows; ++r) {
        for (int j = 0; j < kActions; ++j) sum += static_cast<double>(weight(r, j) * log_sigma[r * 16 + j]);
      }
      varied = kept;
      return sum;
    };
    const float high = varied + 0.01f, low = varied - 0.01f;
    return (loss(high) - loss(low)) / static_cast<double>(high - low);
  };
  for (int k = 0; k < kFeatures; ++k) {
    for (int j = 0; j < kActions; ++j) {
      EXPECT_NEAR(rig.gradient(k, j), slope(rig.log_sigma(k, j)), 2e-3) << k << ' ' << j;
      EXPECT_EQ(plain.gradient(k, j), rig.gradient(k, j));
    }
    for (int r = 0; r < kRows; ++r) {
      EXPECT_NEAR(rig.d_feature(r, k), slope(rig.feature(r, k)), 2e-3) << r << ' ' << k;
      EXPECT_EQ(plain.d_feature(r, k), 0.0f);
    }
  }
}

TEST(StateNoise, FirstDeviationDoesNotDependOnTheWidth) {
  const Space action = Space::box<2>({-1.0f, -1.0f}, {1.0f, 1.0f});
  for (const int width : {1, 64, 257}) {
    NetworkShape shape;
    shape.hidden = {8, width};
    const VectorSpec spec = StateNoise::parameters(shape, action, -0.7f);
    EXPECT_EQ(spec.size, width);
    EXPECT_EQ(spec.columns, 2);
    const double sigma = std::exp(static_cast<double>(spec.initial));
    EXPECT_NEAR(0.5 * std::log(width * sigma * sigma), -0.7, 1e-6);
  }
  EXPECT_THROW(StateNoise::parameters({}, Space::discrete(3), 0.0f), UsageError);
  NetworkShape flat;
  flat.hidden = {};
  EXPECT_THROW(StateNoise::parameters(flat, action, 0.0f), UsageError);
}

PpoConfig noisy_ppo(std::int64_t interval) {
  PpoConfig config;
  config.minibatches = 3;
  config.actor_critic.state_noise = {true, interval, true};
  return config;
}

// What acting stored is what learning starts from: ratios of exactly 1, noise included.
TEST(StateNoise, RatiosOfAFreshRolloutAreOne) {
  PpoRig rig("Pendulum-v1", noisy_ppo(4), 33, 9);
  rig.collect();
  std::vector<float> ratios(33 * 9);
  rig.agent().reevaluate(rig.stream(), rig.view(), ratios.data());
  for (const float ratio : ratios) ASSERT_EQ(ratio, 1.0f);
  const PolicyMetrics metrics = rig.learn(1e-3f);
  EXPECT_GT(metrics.approx_kl, 0.0);
  EXPECT_FALSE(metrics.failed);
}

TEST(StateNoise, GreedyActionsAreMeansWhateverTheNoise) {
  PpoRig rig("Pendulum-v1", noisy_ppo(1), 5, 3);
  rig.collect();
  const auto greedy = [&](std::uint64_t row) {
    rig.agent().act(rig.stream(), rig.request(0, row, ActionMode::kGreedy));
    std::vector<float> actions;
    for (int i = 0; i < 5; ++i) actions.push_back(bits_float(rig.ring().records(0)[i * 4]));
    return actions;
  };
  const std::vector<float> actions = greedy(0);
  rig.agent().act(rig.stream(), rig.request(0, 7, ActionMode::kSample));  // leaves other noise in the scratch
  EXPECT_EQ(greedy(1), actions);
  std::vector<float> parameters(rig.learner());
  parameters.resize(rig.agent().network().spec().parameter_count());
  const std::size_t offset = rig.agent().network().spec().vector_offset("log_sigma");
  for (std::size_t i = offset; i < offset + std::size_t{16} * 16; i += 16) parameters[i] = 3.0f;
  rig.agent().network().load(rig.stream(), parameters.data());
  EXPECT_EQ(greedy(0), actions);
}

}  // namespace
}  // namespace stampede
