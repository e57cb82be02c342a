// SPDX-License-Identifier: Apache-2.0
// Exploration noise: stationary deviations, one process per environment, a fresh one per episode.
#include "agents/exploration_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace stampede {
namespace {

// The deviation of a long path after it forgot its start.
double stationary_deviation(const NoiseConfig& config, int steps) {
  std::vector<float> state(1);
  const NoiseView noise{config, state.data(), 1};
  double squares = 0.0;
  int counted = 0;
  for (int t = 0; t < steps; ++t) {
    Rng rng({7, static_cast<std::uint64_t>(t), Purpose::kExplorationNoise}, 0);
    const auto x = static_cast<double>(noise.next(0, 0, false, rng));
    if (t < steps / 20) continue;
    squares += x * x;
    ++counted;
  }
  return std::sqrt(squares / counted);
}

TEST(OrnsteinUhlenbeck, HasTheStationaryDeviationOfItsStep) {
  // sigma / sqrt(1 - (1 - theta)^2) at dt = 1; sigma / sqrt(2 theta) in continuous time.
  EXPECT_NEAR(stationary_deviation({NoiseKind::kOrnsteinUhlenbeck, 0.2f, 0.15f, 1.0f}, 400'000), 0.3797, 0.004);
  EXPECT_NEAR(stationary_deviation({NoiseKind::kOrnsteinUhlenbeck, 0.2f, 0.15f, 0.05f}, 4'000'000), 0.3651, 0.006);
}

TEST(OrnsteinUhlenbeck, OneStepByHand) {
  const NoiseConfig config{NoiseKind::kOrnsteinUhlenbeck, 0.3f, 0.15f, 0.25f};
  EXPECT_FLOAT_EQ(ornstein_uhlenbeck(config, 0.8f, -1.5f), 0.8f - 0.15f * 0.8f * 0.25f + 0.3f * 0.5f * -1.5f);
}

TEST(ExplorationNoise, AnEpisodesProcessStartsAtZeroAndIsItsOwn) {
  std::vector<float> state{0.5f, -0.4f, 0.3f, 0.2f};  // [2, 2]
  const NoiseView noise{{NoiseKind::kOrnsteinUhlenbeck, 0.2f, 0.15f, 1.0f}, state.data(), 2};
  Rng rng({1, 2, Purpose::kExplorationNoise}, 1);
  EXPECT_EQ(noise.next(1, 0, true, rng), 0.0f);
  EXPECT_NE(noise.next(1, 1, false, rng), 0.2f);
  EXPECT_EQ(state[0], 0.5f);
  EXPECT_EQ(state[1], -0.4f);
  EXPECT_EQ(state[2], 0.0f);
}

TEST(ExplorationNoise, GaussianHasItsDeviationAndNoMemory) {
  const NoiseView noise{{NoiseKind::kGaussian, 0.1f}, nullptr, 1};
  double squares = 0.0, products = 0.0, last = 0.0;
  constexpr int kSteps = 100'000;
  for (int t = 0; t < kSteps; ++t) {
    Rng rng({3, static_cast<std::uint64_t>(t), Purpose::kExplorationNoise}, 0);
    const auto x = static_cast<double>(noise.next(0, 0, false, rng));
    squares += x * x;
    products += x * last;
    last = x;
  }
  EXPECT_NEAR(std::sqrt(squares / kSteps), 0.1, 0.001);
  EXPECT_NEAR(products / squares, 0.0, 0.02);
}

TEST(ExplorationNoise, NoneIsNothing) {
  Rng rng({3, 0, Purpose::kExplorationNoise}, 0);
  EXPECT_EQ((NoiseView{{NoiseKind::kNone, 5.0f}, nullptr, 1}.next(0, 0, false, rng)), 0.0f);
}

TEST(ExplorationNoise, TakesMemoryForProcessesOnly) {
  for (const auto& [kind, size] : {std::pair{NoiseKind::kGaussian, 0u}, {NoiseKind::kOrnsteinUhlenbeck, 21u}}) {
    Arena arena(Device{});
    EXPECT_EQ(ExplorationNoise({.kind = kind}, 7, 3, arena).state().size(), size);
  }
}

}  // namespace
}  // namespace stampede
