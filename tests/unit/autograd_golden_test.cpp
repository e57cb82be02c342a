// SPDX-License-Identifier: Apache-2.0
// Native gradients against the recorded ones of LibTorch's autograd (tests/golden/autograd), which need no LibTorch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "agents/losses/dqn_loss.h"
#include "agents/losses/ppo_loss.h"
#include "agents/networks/mlp_network.h"
#include "kernels/buffer.h"
#include "tests/golden/golden_file.h"

namespace stampede {
namespace {

constexpr double kTolerance = 4e-6;

void expect_close(float value, double reference) {
  EXPECT_NEAR(value, reference, kTolerance * std::max(1.0, std::fabs(reference)));
}

void expect_close(const std::vector<float>& values, const std::vector<double>& references) {
  ASSERT_EQ(values.size(), references.size());
  for (std::size_t j = 0; j < values.size(); ++j) expect_close(values[j], references[j]);
}

std::vector<float> floats(const std::vector<double>& numbers) { return {numbers.begin(), numbers.end()}; }

// How many rows are clipped, so that a file without such rows is noticed.
int check_policy_file(const std::string& name, bool gaussian) {
  const GoldenFile file = read_golden(name);
  int clipped = 0;
  for (std::size_t r = 0; r < file.rows.size(); ++r) {
    SCOPED_TRACE(name + " row " + std::to_string(r));
    const auto number = [&](const char* label) { return static_cast<float>(file.number(r, label)); };
    const PpoLossConfig config{number("clip"), number("value_clip"), number("entropy_weight"), number("value_weight")};
    const PolicySample sample{number("old_log_prob"), number("old_value"), number("advantage"), number("target")};
    const std::vector<float> policy = floats(file.numbers(r, "output")),
                             log_sigma = floats(file.numbers(r, "log_sigma")),
                             action = floats(file.numbers(r, "action"));
    const int n = static_cast<int>(policy.size());
    std::vector<float> d_policy(policy.size()), d_log_sigma(log_sigma.size());
    float metrics[PolicyRowMetrics::kSize] = {};
    if (gaussian) {
      gaussian_policy_gradient(config, sample, policy.data(), log_sigma.data(), action.data(), n, 1.0f, d_policy.data(),
                               d_log_sigma.data(), metrics);
    } else {
      categorical_policy_gradient(config, sample, policy.data(), n, static_cast<int>(action.at(0)), 1.0f,
                                  d_policy.data(), metrics);
    }
    const float d_value = config.value_weight * value_gradient(config, sample, number("value"), metrics);
    expect_close(d_policy, file.numbers(r, "doutput"));
    expect_close(d_log_sigma, file.numbers(r, "dsigma"));
    expect_close(d_value, file.number(r, "d_value"));
    expect_close(metrics[PolicyRowMetrics::kPolicyLoss], file.number(r, "policy_loss"));
    expect_close(metrics[PolicyRowMetrics::kValueLoss], file.number(r, "value_loss"));
    expect_close(metrics[PolicyRowMetrics::kEntropy], file.number(r, "entropy"));
    clipped += metrics[PolicyRowMetrics::kClipFraction] > 0.0f;
  }
  EXPECT_EQ(file.rows.size(), 31u);
  return clipped;
}

TEST(AutogradGolden, PpoGradientsAreThoseOfAutograd) {
  EXPECT_GT(check_policy_file("autograd/ppo_categorical", false), 5);
  EXPECT_GT(check_policy_file("autograd/ppo_gaussian", true), 5);
}

TEST(AutogradGolden, TemporalDifferenceGradientsAreThoseOfAutograd) {
  const GoldenFile file = read_golden("autograd/td");
  ASSERT_EQ(file.rows.size(), 33u);
  for (std::size_t r = 0; r < file.rows.size(); ++r) {
    const auto q = static_cast<float>(file.number(r, "q")), target = static_cast<float>(file.number(r, "target"));
    float metrics[DqnRowMetrics::kSize];
    expect_close(td_gradient(TdLoss::kHuber, q, target, metrics), file.number(r, "d_huber"));
    expect_close(metrics[DqnRowMetrics::kLoss], file.number(r, "huber"));
    expect_close(td_gradient(TdLoss::kSquared, q, target, metrics), file.number(r, "d_squared"));
    expect_close(metrics[DqnRowMetrics::kLoss], file.number(r, "squared"));
  }
}

// One element that a file names: where it lies, what it is and its derivative.
struct Element {
  std::string kind;
  std::size_t at;
  double value, derivative;
};

const TensorLayout& tensor(const NetworkSpec& spec, const std::string& name) {
  return *std::find_if(spec.tensors().begin(), spec.tensors().end(), [&](const auto& t) { return t.name == name; });
}

std::vector<Element> elements(const GoldenFile& file, const NetworkSpec& spec) {
  std::vector<Element> all;
  for (std::size_t r = 0; r < file.rows.size(); ++r) {
    const std::string kind = file.rows[r][0], name = file.rows[r][1];
    const auto row = static_cast<std::size_t>(file.number(r, "row"));
    std::size_t column = static_cast<std::size_t>(file.number(r, "column")), at;
    if (kind == "parameter") {
      const TensorLayout& t = tensor(spec, name);
      at = t.offset + row * t.row_stride + column * t.column_stride;
    } else if (kind == "input") {
      at = row * static_cast<std::size_t>(spec.input_stride()) + column;
    } else {
      column += static_cast<std::size_t>(spec.head(name).column);
      at = row * static_cast<std::size_t>(spec.output_stride()) + column;
    }
    all.push_back({kind, at, file.number(r, "value"), file.number(r, "derivative")});
  }
  return all;
}

void check_mlp_file(const std::string& name, const NetworkSpec& spec) {
  SCOPED_TRACE(name);
  constexpr int kRows = 3;
  const MlpNetwork network(spec);
  const auto buffer = [](std::size_t count) { return Buffer<float>(Device{}, count); };
  const auto stride = [](int floats_per_row) { return static_cast<std::size_t>(floats_per_row * kRows); };
  Buffer<float> parameters = buffer(spec.parameter_count()), gradients = buffer(spec.parameter_count()),
                inputs = buffer(stride(spec.input_stride())), d_inputs = buffer(inputs.size()),
                outputs = buffer(stride(spec.output_stride())), d_outputs = buffer(outputs.size()),
                workspace = buffer(network.workspace_size(kRows, true)), prepared = buffer(network.prepared_size());
  const std::vector<Element> all = elements(read_golden(name), spec);
  std::size_t named = 0;
  for (const Element& e : all) {
    if (e.kind == "parameter") parameters.data()[e.at] = static_cast<float>(e.value);
    if (e.kind == "input") inputs.data()[e.at] = static_cast<float>(e.value);
    if (e.kind == "output") d_outputs.data()[e.at] = static_cast<float>(e.derivative);
    named += e.kind == "parameter";
  }
  EXPECT_EQ(named, spec.logical_parameter_count());
  const Stream stream = Stream::cpu(1);
  const NetworkInput input{inputs.data(), nullptr};
  network.forward(stream, parameters.data(), input, kRows, true, workspace.data(), outputs.data());
  network.prepare_backward(stream, parameters.data(), prepared.data());
  network.backward(stream, parameters.data(), prepared.data(), input, kRows, d_outputs.data(), workspace.data(),
                   gradients.data(), d_inputs.data());
  for (const Element& e : all) {
    if (e.kind == "parameter") expect_close(gradients.data()[e.at], e.derivative);
    if (e.kind == "input") expect_close(d_inputs.data()[e.at], e.derivative);
    if (e.kind == "output") expect_close(outputs.data()[e.at], e.value);
  }
}

TEST(AutogradGolden, NetworkGradientsAreThoseOfAutograd) {
  using enum Activation;
  const HeadSpec policy{"policy", 2, 0.01f}, value{"value", 1, 1.0f};
  check_mlp_file("autograd/mlp_shared_tanh", {3, false, {{"torso", {5, 4}, kTanh, {policy, value}}}});
  check_mlp_file("autograd/mlp_separate_relu",
                 {3, false, {{"actor", {5}, kRelu, {policy}}, {"critic", {4, 3}, kRelu, {value}}}});
}

}  // namespace
}  // namespace stampede
