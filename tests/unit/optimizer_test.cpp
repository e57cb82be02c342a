// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/philox.h"

namespace stampede {
namespace {

// Blocks of `count` floats on the CPU; every element starts as the same parameter unless a test says otherwise.
struct Learner {
  Learner(std::size_t element_count, int group_count, float start)
      : count(element_count),
        groups(group_count),
        parameters(Device{}, count),
        gradients(Device{}, count * static_cast<std::size_t>(groups)),
        first(Device{}, count),
        second(Device{}, count),
        scratch(Device{}, optimizer_scratch_size(count)) {
    for (std::size_t i = 0; i < count; ++i) parameters.data()[i] = start;
  }
  void randomize(std::uint64_t seed) {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      gradients.data()[i] = uniform_float(RandomKey{seed, i, Purpose::kPermutation}.lane_word(0)) - 0.5f;
    }
  }
  void step(const OptimizerConfig& config, float rate, float scale = 1.0f, int threads = 1) {
    const OptimizerBlocks blocks{parameters.data(), gradients.data(), first.data(),
                                 second.data(),     scratch.data(),   count};
    optimizer_step(Stream::cpu(threads), config, blocks, groups, rate, scale, &state);
  }
  void step_with(float gradient, const OptimizerConfig& config, float rate) {
    for (std::size_t i = 0; i < gradients.size(); ++i) gradients.data()[i] = gradient;
    step(config, rate);
  }

  std::size_t count;
  int groups;
  Buffer<float> parameters, gradients, first, second, scratch;
  LearnerState state;
};

// Kingma & Ba's algorithm 1 by hand for g = 0.5, -1, 2: m = .05, -.055, .1505; v = .00025, .00124975, .0052485;
// corrected by 1 - .9^t and 1 - .999^t: .5 / .5, -.289474 / .790688, .555351 / 1.323348, times the rate of .1.
TEST(Optimizer, AdamTakesThreeStepsAsComputedByHand) {
  Learner learner(16, 1, 1.0f);
  const float gradients[3] = {0.5f, -1.0f, 2.0f};
  const float expected[3] = {0.9f, 0.9366102f, 0.8946447f};
  for (int t = 0; t < 3; ++t) {
    learner.step_with(gradients[t], {}, 0.1f);
    EXPECT_NEAR(learner.parameters.data()[5], expected[t], 1e-6f);
  }
  EXPECT_NEAR(learner.first.data()[5], 0.1505f, 1e-7f);
  EXPECT_NEAR(learner.second.data()[5], 0.00524850025f, 1e-7f);
  EXPECT_EQ(learner.state.step, 3);
}

TEST(Optimizer, AdamEpsilonStandsOutsideTheRoot) {
  Learner learner(16, 1, 0.0f);
  OptimizerConfig config;
  config.epsilon = 0.5f;
  learner.step_with(0.25f, config, 1.0f);
  EXPECT_NEAR(learner.parameters.data()[0], -0.25f / (0.25f + 0.5f), 1e-6f);
}

// Liu et al. 2020, algorithm 2, in double. The first five steps follow the mean gradient alone.
TEST(Optimizer, RAdamBeginsWithMomentumAndApproachesAdam) {
  for (const float beta2 : {0.9f, 0.999f}) {
    OptimizerConfig config;
    config.kind = OptimizerKind::kRAdam;
    config.beta2 = beta2;
    Learner learner(16, 1, 0.0f);
    const double b2 = static_cast<double>(beta2), longest = 2.0 / (1.0 - b2) - 1.0;
    double parameter = 0.0, m = 0.0, v = 0.0;
    int adaptive = 0;
    for (int t = 1; t <= 40; ++t) {
      const float gradient = t % 3 ? 0.5f : -0.25f;
      learner.step_with(gradient, config, 0.01f);
      const auto g = static_cast<double>(gradient);
      m = 0.9 * m + 0.1 * g;
      v = b2 * v + (1.0 - b2) * g * g;
      const double mean = m / (1.0 - std::pow(0.9, t)), power = std::pow(b2, t);
      const double length = longest - 2.0 * t * power / (1.0 - power);
      double step = mean;
      if (length > 5.0) {
        ++adaptive;
        const double numerator = (length - 4.0) * (length - 2.0) * longest;
        step *= std::sqrt(numerator / ((longest - 4.0) * (longest - 2.0) * length));
        step /= std::sqrt(v / (1.0 - power)) + 1e-8;
      }
      parameter -= 0.01 * step;
      ASSERT_NEAR(learner.parameters.data()[3], parameter, 2e-6) << beta2 << ' ' << t;
    }
    EXPECT_EQ(adaptive, 35);
  }
}

TEST(Optimizer, RmsPropWithEpsilonOutsideAndInsideTheRoot) {
  OptimizerConfig config;
  config.kind = OptimizerKind::kRmsProp;
  config.beta2 = 0.99f;
  config.epsilon = 0.1f;
  Learner outside(16, 1, 1.0f), inside(16, 1, 1.0f);
  outside.step_with(2.0f, config, 0.01f);
  EXPECT_NEAR(outside.parameters.data()[3], 1.0 - 0.01 * 2.0 / (0.2 + 0.1), 1e-6);  // v = .01 * 4
  config.epsilon_inside_root = true;
  inside.step_with(2.0f, config, 0.01f);
  EXPECT_NEAR(inside.parameters.data()[3], 1.0 - 0.01 * 2.0 / std::sqrt(0.04 + 0.1), 1e-6);
}

TEST(Optimizer, AdamWDecaysParametersAndAdamAddsL2ToTheGradient) {
  OptimizerConfig config;
  config.weight_decay = 0.1f;
  Learner l2(16, 1, 2.0f), decoupled(16, 1, 2.0f);
  l2.step_with(-0.2f, config, 0.5f);  // the gradient becomes -.2 + .1 * 2 = 0
  EXPECT_NEAR(l2.parameters.data()[0], 2.0f, 1e-3f);
  config.kind = OptimizerKind::kAdamW;
  decoupled.step_with(-0.2f, config, 0.5f);
  EXPECT_NEAR(decoupled.parameters.data()[0], 2.0 * (1.0 - 0.05) + 0.5, 1e-5);
}

TEST(Optimizer, SgdDescends) {
  OptimizerConfig config;
  config.kind = OptimizerKind::kSgd;
  Learner learner(16, 1, 1.0f);
  learner.step_with(3.0f, config, 0.125f);
  EXPECT_EQ(learner.parameters.data()[7], 1.0f - 0.375f);
}

TEST(Optimizer, NormIsReportedBeforeClippingAndClipped) {
  OptimizerConfig config;
  config.kind = OptimizerKind::kSgd;
  config.max_norm = 0.5f;
  Learner learner(64, 1, 0.0f);
  learner.step_with(3.0f, config, 1.0f);
  EXPECT_NEAR(learner.state.gradient_norm, 24.0f, 1e-5f);  // sqrt(64 * 9)
  double square = 0.0;
  for (std::size_t i = 0; i < 64; ++i) square += std::pow(static_cast<double>(learner.parameters.data()[i]), 2);
  EXPECT_NEAR(std::sqrt(square), 0.5, 1e-6);
  Learner small(64, 1, 0.0f);
  small.step_with(0.01f, config, 1.0f);  // a norm of .08 stays
  EXPECT_FLOAT_EQ(small.parameters.data()[0], -0.01f);
}

// As torch.nn.utils.clip_grad_norm_: by max_norm / (norm + 1e-6).
TEST(Optimizer, ClippingATinyNormAddsAMillionthToIt) {
  OptimizerConfig config;
  config.kind = OptimizerKind::kSgd;
  config.max_norm = 1e-6f;
  Learner learner(16, 1, 0.0f);
  learner.step_with(0.75e-6f, config, 1.0f);  // a norm of 3e-6
  EXPECT_NEAR(learner.parameters.data()[0] * 1e6f, -0.75 / 4, 1e-5);
}

TEST(Optimizer, ValueClipBoundsEveryElement) {
  OptimizerConfig config;
  config.kind = OptimizerKind::kSgd;
  config.max_value = 1.0f;
  Learner learner(16, 1, 0.0f);
  for (int i = 0; i < 16; ++i) learner.gradients.data()[i] = static_cast<float>(i - 8) * 0.5f;
  learner.step(config, 1.0f);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(learner.parameters.data()[i], -std::fmin(1.0f, std::fmax(-1.0f, static_cast<float>(i - 8) * 0.5f)));
  }
}

TEST(Optimizer, SumsEveryNumberOfGroups) {
  OptimizerConfig config;
  config.kind = OptimizerKind::kSgd;
  for (int groups = 1; groups <= kMaxGradientGroups; ++groups) {
    Learner learner(48, groups, 0.0f);
    for (int g = 0; g < groups; ++g) {
      for (int i = 0; i < 48; ++i) learner.gradients.data()[g * 48 + i] = static_cast<float>((g + 1) * (i + 1));
    }
    learner.step(config, 1.0f, 0.5f);
    const float total = static_cast<float>(groups * (groups + 1) / 2) * 0.5f;
    for (int i = 0; i < 48; ++i) ASSERT_EQ(learner.parameters.data()[i], -total * static_cast<float>(i + 1));
  }
  Learner none(16, 1, 0.0f);
  none.groups = 17;
  EXPECT_THROW(none.step(config, 1.0f), RuntimeError);
}

TEST(Optimizer, ThreadsChangeNoBit) {
  const std::size_t count = 16 * 12347;
  OptimizerConfig config;
  config.max_norm = 0.5f;
  Learner serial(count, 3, 1.0f), parallel(count, 3, 1.0f);
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    serial.randomize(seed);
    parallel.randomize(seed);
    serial.step(config, 0.01f, 0.5f, 1);
    parallel.step(config, 0.01f, 0.5f, 3);
  }
  EXPECT_EQ(serial.state.gradient_norm, parallel.state.gradient_norm);
  EXPECT_EQ(std::memcmp(serial.parameters.data(), parallel.parameters.data(), count * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(serial.second.data(), parallel.second.data(), count * sizeof(float)), 0);
}

TEST(Optimizer, AStoppedLearnerKeepsEverything) {
  Learner learner(16, 1, 1.0f);
  learner.state.stop = 1;
  learner.step_with(0.5f, {}, 0.1f);
  EXPECT_EQ(learner.parameters.data()[0], 1.0f);
  EXPECT_EQ(learner.first.data()[0], 0.0f);
  EXPECT_EQ(learner.second.data()[0], 0.0f);
  EXPECT_EQ(learner.state.step, 0);
  learner.state.stop = 0;
  learner.step_with(0.5f, {}, 0.1f);
  EXPECT_EQ(learner.state.step, 1);
  EXPECT_LT(learner.parameters.data()[0], 1.0f);
}

TEST(Optimizer, ANonFiniteGradientFailsAndKeepsTheLastGoodParameters) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Learner learner(1040, 2, 1.0f);
    learner.randomize(1);
    learner.gradients.data()[1040 + 1033] = bad;
    learner.step({}, 0.1f);
    EXPECT_EQ(learner.state.failed, 1);
    EXPECT_EQ(learner.state.step, 0);
    for (std::size_t i = 0; i < 1040; ++i) {
      ASSERT_EQ(learner.parameters.data()[i], 1.0f);
      ASSERT_EQ(learner.first.data()[i], 0.0f);
    }
    learner.step_with(0.5f, {}, 0.1f);
    EXPECT_EQ(learner.state.step, 0);
  }
}

TEST(Optimizer, PaddingStaysZero) {
  OptimizerConfig config;
  config.kind = OptimizerKind::kAdamW;
  config.weight_decay = 0.1f;
  Learner learner(16, 2, 0.0f);
  for (int i = 0; i < 5; ++i) learner.gradients.data()[i] = 1.0f;
  for (int t = 0; t < 3; ++t) learner.step(config, 0.1f);
  for (int i = 5; i < 16; ++i) EXPECT_EQ(learner.parameters.data()[i], 0.0f);
}

TEST(Optimizer, MomentsWithoutGradientsDecayToZeroNotToSubnormals) {
  OptimizerConfig config;
  config.beta2 = 0.9f;
  Learner learner(16, 1, 0.0f);
  learner.step_with(1.0f, config, 0.1f);
  for (int t = 0; t < 1000; ++t) {
    learner.step_with(0.0f, config, 0.1f);
    ASSERT_NE(std::fpclassify(learner.first.data()[0]), FP_SUBNORMAL);
    ASSERT_NE(std::fpclassify(learner.second.data()[0]), FP_SUBNORMAL);
  }
  EXPECT_EQ(learner.first.data()[0], 0.0f);
  EXPECT_EQ(learner.second.data()[0], 0.0f);
}

TEST(Optimizer, PolyakAveragesAndCopies) {
  Buffer<float> online(Device{}, 48), target(Device{}, 48);
  for (int i = 0; i < 48; ++i) online.data()[i] = 1.0f;
  polyak_update(Stream::cpu(), online.data(), target.data(), 48, 0.005f);
  EXPECT_FLOAT_EQ(target.data()[47], 0.005f);
  polyak_update(Stream::cpu(), online.data(), target.data(), 48, 0.005f);
  EXPECT_FLOAT_EQ(target.data()[47], 0.009975f);
  online.data()[7] = 0.1f;
  polyak_update(Stream::cpu(), online.data(), target.data(), 48, 1.0f);
  for (int i = 0; i < 48; ++i) EXPECT_EQ(target.data()[i], online.data()[i]);
}

}  // namespace
}  // namespace stampede
