// SPDX-License-Identifier: Apache-2.0
// The lock-free update against hand-computed values and the ordinary optimiser; copies made while others write.
#include "kernels/hogwild.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/optimizer.h"
#include "kernels/philox.h"

namespace stampede {
namespace {

struct Shared {
  explicit Shared(std::size_t count, float start = 0.0f)
      : parameters(Device{}, count), squares(Device{}, count), gradients(Device{}, count), snapshot(Device{}, count) {
    for (std::size_t i = 0; i < count; ++i) parameters.data()[i] = start;
  }
  void step(const RmsPropConfig& config, float rate, float scale = 1.0f) {
    hogwild_rmsprop(config, {parameters.data(), squares.data(), parameters.size()}, gradients.data(), scale, rate,
                    snapshot.data());
  }
  void fill(float gradient) {
    for (std::size_t i = 0; i < gradients.size(); ++i) gradients.data()[i] = gradient;
  }
  Buffer<float> parameters, squares, gradients, snapshot;
};

// alpha = 0.9, epsilon = 0.01, rate 0.1, gradients 0.5 and -1: g = 0.025, then 0.1225.
// Inside: 1 - .05 / sqrt(.035) = .7327387; then + .1 / sqrt(.1325) = 1.0074599.
// Outside: 1 - .05 / (sqrt(.025) + .01) = .7025826; then + .1 / (sqrt(.1225) + .01) = .9803604.
TEST(Hogwild, RmsPropAsComputedByHand) {
  const float expected[2][2] = {{0.7327388f, 1.0074599f}, {0.7025826f, 0.9803604f}};
  for (const bool inside : {true, false}) {
    Shared shared(16, 1.0f);
    const RmsPropConfig config{.decay = 0.9f, .epsilon = 0.01f, .epsilon_inside_root = inside};
    for (int t = 0; t < 2; ++t) {
      shared.fill(t == 0 ? 0.5f : -1.0f);
      shared.step(config, 0.1f);
      EXPECT_NEAR(shared.parameters.data()[7], expected[inside ? 0 : 1][t], 1e-6f) << inside << t;
    }
    EXPECT_NEAR(shared.squares.data()[7], 0.1225f, 1e-7f);
  }
}

TEST(Hogwild, ScaleMultipliesTheGradient) {
  Shared shared(16, 1.0f);
  shared.fill(2.0f);
  shared.step({.decay = 0.9f, .epsilon = 0.01f}, 0.1f, 0.25f);
  EXPECT_NEAR(shared.parameters.data()[0], 0.7327388f, 1e-6f);
}

TEST(Hogwild, OneThreadIsTheOrdinaryRmsPropBitForBit) {
  for (const std::size_t count : {std::size_t{16}, std::size_t{16 * 33}, std::size_t{16 * 257}}) {
    for (const bool inside : {true, false}) {
      Shared shared(count, 0.5f);
      Buffer<float> parameters(Device{}, count), squares(Device{}, count), gradients(Device{}, count),
          scratch(Device{}, optimizer_scratch_size(count));
      for (std::size_t i = 0; i < count; ++i) parameters.data()[i] = 0.5f;
      const OptimizerConfig ordinary{
          .kind = OptimizerKind::kRmsProp, .beta2 = 0.99f, .epsilon = 1e-3f, .epsilon_inside_root = inside};
      LearnerState state;
      for (std::uint64_t t = 0; t < 3; ++t) {
        for (std::size_t i = 0; i < count; ++i) {
          const RandomKey key{t, 0, Purpose::kPermutation};
          shared.gradients.data()[i] = uniform_float(key.lane_word(static_cast<std::uint32_t>(i))) - 0.5f;
          gradients.data()[i] = shared.gradients.data()[i];
        }
        shared.step({.decay = 0.99f, .epsilon = 1e-3f, .epsilon_inside_root = inside}, 0.01f);
        optimizer_step(Stream::cpu(), ordinary,
                       {parameters.data(), gradients.data(), nullptr, squares.data(), scratch.data(), count}, 1, 0.01f,
                       1.0f, &state);
      }
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(shared.parameters.data()[i], parameters.data()[i]) << i;
        ASSERT_EQ(shared.squares.data()[i], squares.data()[i]) << i;
        ASSERT_EQ(shared.snapshot.data()[i], parameters.data()[i]) << i;
      }
    }
  }
}

TEST(Hogwild, NoGradientNoChange) {
  Shared shared(32, 0.25f);
  shared.squares.data()[3] = 1e-38f;
  shared.step({}, 1.0f);
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(shared.parameters.data()[i], 0.25f);
  EXPECT_EQ(shared.squares.data()[3], 0.0f) << "statistics must not stay subnormal";
}

// Whatever a copy catches of a block that others write, every element is one of the values written.
TEST(Hogwild, ACopyTearsNoElement) {
  constexpr std::size_t kCount = 16 * 33;
  const Buffer<float> ones(Device{}, kCount), twos(Device{}, kCount), shared(Device{}, kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    ones.data()[i] = shared.data()[i] = 1.0f;
    twos.data()[i] = -2.0f;
  }
  std::atomic<bool> done{false};
  std::jthread writer([&] {
    for (int k = 0; k < 2000; ++k) hogwild_copy(k % 2 ? ones.data() : twos.data(), shared.data(), kCount);
    done = true;
  });
  const Buffer<float> local(Device{}, kCount);
  while (!done) {
    hogwild_copy(shared.data(), local.data(), kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      ASSERT_TRUE(local.data()[i] == 1.0f || local.data()[i] == -2.0f) << i << ' ' << local.data()[i];
    }
  }
}

}  // namespace
}  // namespace stampede
