// SPDX-License-Identifier: Apache-2.0
// Noisy layers and dropout: their noise, what it changes, and what it leaves alone.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "agents/networks/mlp_network.h"
#include "agents/noisy_parameters.h"
#include "agents/unit_dropout.h"
#include "kernels/buffer.h"
#include "tests/unit/training_run.h"

namespace stampede {
namespace {

NetworkSpec spec_of(int inputs = 5, std::vector<int> hidden = {33, 17}) {
  return NetworkSpec(inputs, false, {{"q", hidden, Activation::kRelu, {{"value", 1}, {"advantage", 3}}}}, {},
                     Initialization::kKaimingUniform);
}

// A spec's noisy parameters with memory for one draw of each role.
class Rig {
 public:
  explicit Rig(NoisyLayers layers, const NetworkSpec& spec = spec_of(), float sigma_0 = 0.5f)
      : spec_(spec),
        noisy_(spec_, layers),
        arena_(Device{}),
        trained_(Device{}, spec_.parameter_count() + noisy_.size()),
        gradients_(Device{}, spec_.parameter_count() + noisy_.size()) {
    noisy_.take_draw(arena_);
    arena_.allocate("test");
    draw_ = noisy_.take_draw(arena_);
    spec_.initialize(3, trained_.data());
    noisy_.initialize(Stream::cpu(), sigma_0, trained_.data() + spec_.parameter_count());
  }

  std::vector<float> draw(std::uint64_t number, NoiseRole role = NoiseRole::kOnline) {
    noisy_.draw(Stream::cpu(), trained_.data(), 9, number, role, draw_);
    return {draw_.parameters.data, draw_.parameters.data + spec_.parameter_count()};
  }
  std::vector<float> mu() const { return {trained_.data(), trained_.data() + spec_.parameter_count()}; }

  NetworkSpec spec_;
  NoisyParameters noisy_;
  Arena arena_;
  Buffer<float> trained_, gradients_;
  NoisyDraw draw_;
};

TEST(NoisyParameters, ChangeWithEveryDrawAndRoleAndComeBackWithTheirNumber) {
  Rig rig(NoisyLayers::kAll);
  const std::vector<float> first = rig.draw(1);
  EXPECT_EQ(first, rig.draw(1));
  EXPECT_NE(first, rig.draw(2));
  EXPECT_NE(first, rig.draw(1, NoiseRole::kTarget));
  EXPECT_NE(rig.draw(1, NoiseRole::kTarget), rig.draw(1, NoiseRole::kActing));
}

TEST(NoisyParameters, TouchTheChosenLayersAndNoPadding) {
  for (const NoisyLayers layers : {NoisyLayers::kHeads, NoisyLayers::kAll}) {
    Rig rig(layers);
    const std::vector<float> mu = rig.mu(), drawn = rig.draw(4);
    std::vector<bool> noisy(mu.size(), false);
    for (const LayerLayout& layer : rig.spec_.layers()) {
      if (layers == NoisyLayers::kHeads && layer.name != "q.heads") continue;
      for (int row = 0; row <= layer.in; ++row) {
        for (int column = 0; column < layer.out; ++column) {
          noisy[layer.weight + static_cast<std::size_t>(row * layer.out_stride + column)] = true;
        }
      }
    }
    for (std::size_t k = 0; k < mu.size(); ++k) EXPECT_EQ(drawn[k] != mu[k], noisy[k]) << k;
  }
}

// Equation 11: weights of one row of a layer share the factor of their input, those of one column that of their output.
TEST(NoisyParameters, AreFactorised) {
  Rig rig(NoisyLayers::kHeads);
  const std::vector<float> mu = rig.mu(), drawn = rig.draw(11);
  const LayerLayout& heads = rig.spec_.layers().back();
  const float sigma = 0.5f / std::sqrt(static_cast<float>(heads.in));
  const auto noise = [&](int row, int column) {
    const std::size_t at = heads.weight + static_cast<std::size_t>(row * heads.out_stride + column);
    return (drawn[at] - mu[at]) / sigma;
  };
  for (int row = 0; row < heads.in; ++row) {
    for (int column = 1; column < heads.out; ++column) {
      EXPECT_NEAR(noise(row, column) * noise(heads.in, 0), noise(row, 0) * noise(heads.in, column), 1e-4f);
    }
  }
}

// f(eps) has mean 0 and variance E|eps| = sqrt(2 / pi); so an output of a noisy layer varies by
// sigma^2 (2 / pi sum_i x_i^2 + sqrt(2 / pi)).
TEST(NoisyParameters, GiveOutputsTheVarianceOfTheFormula) {
  const NetworkSpec spec = spec_of(4, {});
  Rig rig(NoisyLayers::kHeads, spec, 0.8f);
  const MlpNetwork network(spec);
  const Buffer<float> input(Device{}, 16), outputs(Device{}, 16), workspace(Device{}, network.workspace_size(1, false));
  double squares = 0.0;
  for (std::size_t i = 0; i < 4; ++i) {
    input.data()[i] = 0.5f + static_cast<float>(i);
    squares += static_cast<double>(input.data()[i]) * static_cast<double>(input.data()[i]);
  }
  network.forward(Stream::cpu(), rig.trained_.data(), {input.data(), nullptr}, 1, false, workspace.data(),
                  outputs.data());
  const auto mean = static_cast<double>(outputs.data()[2]);
  constexpr int kDraws = 20'000;
  double sum = 0.0, square_sum = 0.0;
  for (int k = 0; k < kDraws; ++k) {
    rig.draw(static_cast<std::uint64_t>(k));
    network.forward(Stream::cpu(), rig.draw_.parameters.data, {input.data(), nullptr}, 1, false, workspace.data(),
                    outputs.data());
    const double off = static_cast<double>(outputs.data()[2]) - mean;
    sum += off;
    square_sum += off * off;
  }
  const double sigma = 0.8 / 2.0;
  const double expected = sigma * sigma * (2.0 / M_PI * squares + std::sqrt(2.0 / M_PI));
  EXPECT_NEAR(sum / kDraws, 0.0, 5.0 * std::sqrt(expected / kDraws));
  EXPECT_NEAR(square_sum / kDraws / expected, 1.0, 0.06);
}

// The loss depends on mu + sigma * noise: d(sigma) = d(mu) * noise, by finite differences of the drawn parameters.
TEST(NoisyParameters, SigmaGetsTheGradientTimesItsNoise) {
  for (const NoisyLayers layers : {NoisyLayers::kHeads, NoisyLayers::kAll}) {
    Rig rig(layers);
    const std::size_t count = rig.spec_.parameter_count();
    const std::vector<float> drawn = rig.draw(5);
    for (std::size_t k = 0; k < count; ++k) rig.gradients_.data()[k] = std::sin(static_cast<float>(k));
    rig.noisy_.fill_sigma_gradient(Stream::cpu(), rig.draw_, rig.gradients_.data());
    // sum_k g_k * (parameters with sigma + 1 - parameters) over one sigma is g_k * noise_k.
    double by_gradient = 0.0, by_difference = 0.0;
    for (std::size_t s = 0; s < rig.noisy_.size(); ++s) {
      const auto direction = std::cos(static_cast<float>(s));
      by_gradient += static_cast<double>(rig.gradients_.data()[count + s] * direction);
      rig.trained_.data()[count + s] += direction;
    }
    const std::vector<float> moved = rig.draw(5);
    for (std::size_t k = 0; k < count; ++k) {
      by_difference += static_cast<double>(rig.gradients_.data()[k]) * static_cast<double>(moved[k] - drawn[k]);
    }
    EXPECT_NEAR(by_gradient, by_difference, 1e-3 * std::max(1.0, std::fabs(by_difference)));
    EXPECT_GT(std::fabs(by_difference), 1e-3);
  }
}

TEST(NoisyParameters, OffTakesNoMemory) {
  const NoisyParameters off(spec_of(), NoisyLayers::kOff);
  EXPECT_TRUE(off.off());
  EXPECT_EQ(off.size(), 0u);
}

TEST(UnitDropout, SilencesWholeUnitsAndKeepsTheMean) {
  const NetworkSpec spec = spec_of(5, {64, 64});
  std::vector<float> original(spec.parameter_count());
  spec.initialize(3, original.data());
  int silent = 0, total = 0;
  for (std::uint64_t row = 0; row < 100; ++row) {
    std::vector<float> dropped = original;
    drop_units(Stream::cpu(), spec, 0.25f, {1, row, Purpose::kParameterDropout}, dropped.data());
    for (const LayerLayout& layer : spec.layers()) {
      for (int unit = 0; unit < layer.in; ++unit) {
        std::set<float> factors;
        for (int j = 0; j < layer.out; ++j) {
          const std::size_t at = layer.weight + static_cast<std::size_t>(unit * layer.out_stride + j);
          factors.insert(std::round(dropped[at] / original[at] * 1000.0f));
        }
        ASSERT_EQ(factors.size(), 1u);
        if (&layer == &spec.layers()[0]) {
          ASSERT_EQ(*factors.begin(), 1000.0f) << "an input is no hidden unit";
          continue;
        }
        ASSERT_TRUE(*factors.begin() == 0.0f || *factors.begin() == 1333.0f) << *factors.begin();
        silent += *factors.begin() == 0.0f;
        ++total;
      }
      for (int j = 0; j < layer.out; ++j) {
        ASSERT_EQ(dropped[layer.bias + static_cast<std::size_t>(j)],
                  original[layer.bias + static_cast<std::size_t>(j)]);
      }
    }
  }
  EXPECT_NEAR(static_cast<double>(silent) / total, 0.25, 4.0 * std::sqrt(0.25 * 0.75 / total));
}

const Keys kNoisy{{"num_envs", "3"}, {"buffer_size", "300"}, {"batch_size", "17"},   {"learning_starts", "30"},
                  {"hidden", "16"},  {"noisy", "all"},       {"exploration", "none"}};

TEST(NoisyDqn, EvaluatesWithoutNoise) {
  TrainingRun run("dqn", "CartPole-v1", kNoisy);
  run.iterate(50);
  const auto score = [&] { return run.trainer().evaluate(5, EvaluationMode::kGreedy).return_mean; };
  const double before = score();
  EXPECT_EQ(score(), before);
  const StateBlock sigma = run.block("network.parameters.extra");
  std::fill_n(static_cast<float*>(sigma.data), sigma.shape[0], 1000.0f);
  EXPECT_EQ(score(), before);
}

TEST(NoisyDqn, LearnsItsNoise) {
  TrainingRun run("dqn", "CartPole-v1", kNoisy);
  const auto sigma = [&] {
    const StateBlock block = run.block("network.parameters.extra");
    const auto* const data = static_cast<const float*>(block.data);
    return std::vector<float>(data, data + block.shape[0]);
  };
  const std::vector<float> before = sigma();
  run.iterate(60);
  const std::vector<float> after = sigma();
  std::size_t changed = 0, active = 0;
  for (std::size_t k = 0; k < before.size(); ++k) {
    active += before[k] != 0.0f;
    changed += after[k] != before[k];
    EXPECT_TRUE(before[k] != 0.0f || after[k] == 0.0f) << "padding has learnt";
  }
  EXPECT_GT(changed, active / 2);
  EXPECT_FALSE(run.trainer().read_metrics().failed);
}

}  // namespace
}  // namespace stampede
