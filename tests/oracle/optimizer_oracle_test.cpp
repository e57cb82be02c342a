// SPDX-License-Identifier: Apache-2.0
// Optimiser updates against torch::optim in double, over several steps.
#include <gtest/gtest.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>

#include "kernels/buffer.h"
#include "kernels/optimizer.h"
#include "tests/oracle/random_cases.h"

namespace stampede {
namespace {

constexpr int kSteps = 20, kGroups = 3;
constexpr float kRate = 0.01f;

at::Tensor copy_of(const std::vector<float>& values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return at::from_blob(const_cast<float*>(values.data()), {size}, at::kFloat).to(at::kDouble).clone();
}

// The gradients of one step, in groups whose sum counts.
std::vector<std::vector<float>> gradients_of_step(int step, std::size_t count) {
  std::vector<std::vector<float>> groups;
  for (int g = 0; g < kGroups; ++g) {
    groups.push_back(
        random_values(600 + static_cast<std::uint64_t>(step * kGroups + g), count, step % 4 ? 0.1f : 2.0f));
  }
  return groups;
}

// Native parameters after all steps.
std::vector<float> native_result(const OptimizerConfig& config, std::size_t count) {
  const Stream stream = Stream::cpu(2);
  Buffer<float> parameters(Device{}, count), gradients(Device{}, count * kGroups), first(Device{}, count),
      second(Device{}, count), scratch(Device{}, optimizer_scratch_size(count));
  Buffer<LearnerState> state(Device{}, 1);
  const std::vector<float> initial = random_values(1, count);
  std::copy(initial.begin(), initial.end(), parameters.data());
  for (int step = 0; step < kSteps; ++step) {
    const auto groups = gradients_of_step(step, count);
    for (std::size_t g = 0; g < kGroups; ++g) {
      std::copy(groups[g].begin(), groups[g].end(), gradients.data() + g * count);
    }
    optimizer_step(stream, config,
                   {parameters.data(), gradients.data(), first.data(), second.data(), scratch.data(), count}, kGroups,
                   kRate, 0.5f, state.data());
  }
  EXPECT_EQ(state.data()->step, kSteps);
  return {parameters.data(), parameters.data() + count};
}

std::unique_ptr<torch::optim::Optimizer> torch_optimizer(const OptimizerConfig& c, const at::Tensor& parameter) {
  const std::vector<at::Tensor> parameters{parameter};
  const auto betas = std::make_tuple<double, double>(c.beta1, c.beta2);
  switch (c.kind) {
    case OptimizerKind::kAdam:
      return std::make_unique<torch::optim::Adam>(
          parameters, torch::optim::AdamOptions(kRate).betas(betas).eps(c.epsilon).weight_decay(c.weight_decay));
    case OptimizerKind::kAdamW:
      return std::make_unique<torch::optim::AdamW>(
          parameters, torch::optim::AdamWOptions(kRate).betas(betas).eps(c.epsilon).weight_decay(c.weight_decay));
    case OptimizerKind::kRmsProp:
      return std::make_unique<torch::optim::RMSprop>(
          parameters, torch::optim::RMSpropOptions(kRate).alpha(c.beta2).eps(c.epsilon).weight_decay(c.weight_decay));
    case OptimizerKind::kRAdam:  // which LibTorch's C++ library has not
      throw std::logic_error("no RAdam to compare with");
    case OptimizerKind::kSgd:
      break;
  }
  return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(kRate).weight_decay(c.weight_decay));
}

// RMSProp of Mnih et al. 2016, whose epsilon is inside the root: torch::optim has no such option.
struct InsideRoot {
  at::Tensor square;
  void step(const OptimizerConfig& c, const at::Tensor& parameter) {
    const at::NoGradGuard no_gradient;
    const at::Tensor gradient = parameter.grad() + c.weight_decay * parameter;
    square = c.beta2 * (square.defined() ? square : at::zeros_like(gradient)) + (1.0 - c.beta2) * gradient.square();
    at::Tensor(parameter).sub_(kRate * gradient / (square + c.epsilon).sqrt());
  }
};

std::vector<double> torch_result(const OptimizerConfig& config, std::size_t count) {
  at::Tensor parameter = copy_of(random_values(1, count)).set_requires_grad(true);
  const auto optimizer = torch_optimizer(config, parameter);
  InsideRoot inside;
  for (int step = 0; step < kSteps; ++step) {
    at::Tensor gradient = at::zeros_like(parameter).detach();
    for (const auto& group : gradients_of_step(step, count)) gradient = gradient + copy_of(group);
    parameter.mutable_grad() = 0.5 * gradient;
    if (config.max_norm > 0.0f) torch::nn::utils::clip_grad_norm_(parameter, config.max_norm);
    if (config.max_value > 0.0f) torch::nn::utils::clip_grad_value_(parameter, config.max_value);
    if (config.epsilon_inside_root) {
      inside.step(config, parameter);
    } else {
      optimizer->step();
    }
  }
  const at::Tensor result = parameter.detach().contiguous();
  return {result.data_ptr<double>(), result.data_ptr<double>() + count};
}

double distance(const std::vector<double>& a, const std::vector<float>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(a[i] - static_cast<double>(b[i])));
  return largest;
}

struct Case {
  std::string name;
  OptimizerConfig config;
};

// Large epsilons, so that their place matters; clips that bind in some steps and not in others.
std::vector<Case> optimizer_cases() {
  using enum OptimizerKind;
  return {
      {"adam", {.kind = kAdam, .epsilon = 1e-8f}},
      {"adam, large epsilon", {.kind = kAdam, .beta1 = 0.8f, .beta2 = 0.95f, .epsilon = 0.05f}},
      {"adam, L2", {.kind = kAdam, .epsilon = 1e-3f, .weight_decay = 0.1f}},
      {"adam, norm clip", {.kind = kAdam, .epsilon = 0.05f, .max_norm = 0.5f}},
      {"adam, both clips", {.kind = kAdam, .epsilon = 0.05f, .max_norm = 5.0f, .max_value = 0.1f}},
      {"adamw", {.kind = kAdamW, .epsilon = 1e-3f, .weight_decay = 0.1f}},
      {"rmsprop", {.kind = kRmsProp, .beta2 = 0.95f, .epsilon = 0.05f}},
      {"rmsprop, L2", {.kind = kRmsProp, .beta2 = 0.95f, .epsilon = 0.05f, .weight_decay = 0.1f}},
      {"rmsprop, inside",
       {.kind = kRmsProp, .beta2 = 0.95f, .epsilon = 0.01f, .epsilon_inside_root = true, .max_norm = 1.0f}},
      {"sgd, value clip", {.kind = kSgd, .weight_decay = 0.1f, .max_value = 0.3f}},
  };
}

TEST(OptimizerOracle, TwentyStepsEqualTorchOptim) {
  for (const std::size_t count : {16u, 272u, 4112u}) {
    for (const Case& c : optimizer_cases()) {
      SCOPED_TRACE(c.name + ", " + std::to_string(count) + " parameters");
      const std::vector<float> native = native_result(c.config, count);
      EXPECT_LT(distance(torch_result(c.config, count), native), 2e-6);
    }
  }
}

// Otherwise the comparison above would not notice an option that is ignored.
TEST(OptimizerOracle, EveryCaseHasItsOwnResult) {
  const std::vector<Case> cases = optimizer_cases();
  for (std::size_t a = 0; a < cases.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      EXPECT_GT(distance(torch_result(cases[a].config, 272), native_result(cases[b].config, 272)), 1e-3)
          << cases[a].name << " and " << cases[b].name;
    }
  }
}

}  // namespace
}  // namespace stampede
