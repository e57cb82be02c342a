// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/autograd_reference.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>
#include <string>

namespace stampede {
namespace {

// A double copy of a strided float matrix.
at::Tensor copy_of(const float* data, at::IntArrayRef sizes, at::IntArrayRef strides) {
  return at::from_blob(const_cast<float*>(data), sizes, strides, at::kFloat).to(at::kDouble).clone();
}

at::Tensor leaf(const std::vector<float>& values) {
  return copy_of(values.data(), {static_cast<std::int64_t>(values.size())}, {1}).set_requires_grad(true);
}

at::Tensor scalar_leaf(float value) { return leaf({value}); }

std::vector<double> to_vector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

double item(const at::Tensor& tensor) { return tensor.item<double>(); }

using NamedTensors = std::map<std::string, at::Tensor>;

NamedTensors parameter_leaves(const NetworkSpec& spec, const float* parameters) {
  NamedTensors leaves;
  for (const TensorLayout& t : spec.tensors()) {
    const auto row_stride = static_cast<std::int64_t>(t.row_stride);
    const auto column_stride = static_cast<std::int64_t>(t.column_stride);
    const at::Tensor values = t.columns > 0
                                  ? copy_of(parameters + t.offset, {t.rows, t.columns}, {row_stride, column_stride})
                                  : copy_of(parameters + t.offset, {t.rows}, {row_stride});
    leaves[t.name] = values.set_requires_grad(true);
  }
  return leaves;
}

at::Tensor activated(const at::Tensor& x, Activation activation) {
  if (activation == Activation::kTanh) return x.tanh();
  return activation == Activation::kRelu ? x.relu() : x;
}

at::Tensor linear(const NamedTensors& p, const std::string& name, const at::Tensor& x) {
  return at::addmm(p.at(name + ".bias"), x, p.at(name + ".weight").t());
}

// The outputs of every head and shown features, by their columns.
std::map<int, at::Tensor> head_outputs(const NetworkSpec& spec, const NamedTensors& p, const at::Tensor& input) {
  std::map<int, at::Tensor> outputs;
  at::Tensor x = input;
  for (std::size_t l = 0; l < spec.layers().size(); ++l) {
    const LayerLayout& layer = spec.layers()[l];
    const std::string tower = layer.name.substr(0, layer.name.rfind('.'));
    if (layer.name != tower + ".heads") {
      x = linear(p, layer.name, x);
      if (layer.layer_norm) {
        x = at::layer_norm(x, {layer.out}, p.at(layer.name + ".norm.weight"), p.at(layer.name + ".norm.bias"), 1e-5);
      }
      if (layer.batch_norm) {
        x = at::batch_norm(x, p.at(layer.name + ".norm.weight"), p.at(layer.name + ".norm.bias"), {}, {}, true, 0.0,
                           1e-5, false);
      }
      x = activated(x, layer.activation);
      if (static_cast<int>(l) == spec.features().layer) outputs[spec.features().column] = x;
      continue;
    }
    for (const HeadLayout& head : spec.heads()) {
      if (head.layer == static_cast<int>(l)) outputs[head.column] = linear(p, tower + "." + head.name, x);
    }
    x = input;
  }
  return outputs;
}

at::Tensor input_leaf(const NetworkSpec& spec, NetworkInput input, int rows) {
  if (!spec.one_hot()) {
    return copy_of(input.features, {rows, spec.input_size()}, {spec.input_stride(), 1}).set_requires_grad(true);
  }
  at::Tensor x = at::zeros({rows, spec.input_size()}, at::kDouble);
  for (int r = 0; r < rows; ++r) x[r][input.classes[r]] = 1.0;
  return x;
}

void scatter(const at::Tensor& gradient, const TensorLayout& t, std::vector<double>& block) {
  if (!gradient.defined()) return;
  const std::vector<double> values = to_vector(gradient);
  const auto columns = static_cast<std::size_t>(t.columns > 0 ? t.columns : 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    block[t.offset + i / columns * t.row_stride + i % columns * t.column_stride] = values[i];
  }
}

std::vector<double> padded(const at::Tensor& matrix, int rows, int stride) {
  at::Tensor wide = at::zeros({rows, stride}, at::kDouble);
  wide.narrow(1, 0, matrix.size(1)).copy_(matrix.detach());
  return to_vector(wide);
}

struct PolicyTerms {
  at::Tensor log_prob, entropy;
};

PolicyTerms categorical_terms(const at::Tensor& logits, const std::vector<float>& action) {
  const at::Tensor log_p = at::log_softmax(logits, 0);
  return {log_p[static_cast<std::int64_t>(action[0])], -(log_p.exp() * log_p).sum()};
}

PolicyTerms gaussian_terms(const at::Tensor& means, const at::Tensor& log_sigma, const std::vector<float>& action) {
  const auto size = static_cast<std::int64_t>(action.size());
  const at::Tensor a = copy_of(action.data(), {size}, {1});
  const double half_log_two_pi = 0.5 * std::log(2.0 * 3.14159265358979323846);
  const at::Tensor density = -(a - means).square() / (2.0 * log_sigma.exp().square()) - log_sigma - half_log_two_pi;
  return {density.sum(), (0.5 + half_log_two_pi + log_sigma).sum()};
}

// Equation 9's squared error, or its clipped form where the configuration asks for it.
at::Tensor value_loss(const PolicyCase& row, const at::Tensor& value) {
  const at::Tensor plain = (value - row.sample.target).square();
  const double clip = row.config.value_clip;
  if (clip <= 0.0) return 0.5 * plain.sum();
  const at::Tensor clipped = row.sample.old_value + (value - row.sample.old_value).clamp(-clip, clip);
  return 0.5 * at::max(plain, (clipped - row.sample.target).square()).sum();
}

}  // namespace

MlpReference mlp_reference(const NetworkSpec& spec, const float* parameters, NetworkInput input, int rows,
                           const float* d_outputs) {
  const NamedTensors leaves = parameter_leaves(spec, parameters);
  const at::Tensor x = input_leaf(spec, input, rows);
  at::Tensor outputs = at::zeros({rows, spec.output_stride()}, at::kDouble);
  at::Tensor loss = at::zeros({}, at::kDouble);
  const at::Tensor d = copy_of(d_outputs, {rows, spec.output_stride()}, {spec.output_stride(), 1});
  for (const auto& [column, y] : head_outputs(spec, leaves, x)) {
    outputs.narrow(1, column, y.size(1)).copy_(y.detach());
    loss = loss + (y * d.narrow(1, column, y.size(1))).sum();
  }
  loss.backward();
  MlpReference reference{to_vector(outputs), std::vector<double>(spec.parameter_count()), {}};
  for (const TensorLayout& t : spec.tensors()) scatter(leaves.at(t.name).grad(), t, reference.gradients);
  if (!spec.one_hot()) reference.d_inputs = padded(x.grad(), rows, spec.input_stride());
  return reference;
}

std::vector<double> tangent_reference(const NetworkSpec& spec, const float* parameters, const float* direction,
                                      NetworkInput input, int rows) {
  const NamedTensors leaves = parameter_leaves(spec, parameters), moves = parameter_leaves(spec, direction);
  const at::Tensor weights = at::zeros({rows, spec.output_stride()}, at::kDouble).set_requires_grad(true);
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (const auto& [column, y] : head_outputs(spec, leaves, input_leaf(spec, input, rows))) {
    loss = loss + (y * weights.narrow(1, column, y.size(1))).sum();
  }
  std::vector<at::Tensor> parameter_list, move_list;
  for (const auto& [name, leaf] : leaves) {
    parameter_list.push_back(leaf);
    move_list.push_back(moves.at(name).detach());
  }
  const auto gradients = torch::autograd::grad({loss}, parameter_list, {}, true, true, true);
  at::Tensor along = at::zeros({}, at::kDouble);
  for (std::size_t p = 0; p < gradients.size(); ++p) {
    if (gradients[p].defined()) along = along + (gradients[p] * move_list[p]).sum();
  }
  return to_vector(torch::autograd::grad({along}, {weights})[0]);
}

PolicyReference policy_reference(const PolicyCase& row) {
  const at::Tensor policy = leaf(row.policy), log_sigma = leaf(row.log_sigma), value = scalar_leaf(row.value);
  const PolicyTerms terms =
      row.log_sigma.empty() ? categorical_terms(policy, row.action) : gaussian_terms(policy, log_sigma, row.action);
  const double a = row.sample.advantage, clip = row.config.clip;
  const at::Tensor ratio = (terms.log_prob - row.sample.old_log_prob).exp();
  const at::Tensor policy_loss = -at::min(ratio * a, ratio.clamp(1.0 - clip, 1.0 + clip) * a);
  const at::Tensor squared = value_loss(row, value);
  (policy_loss - row.config.entropy_weight * terms.entropy + row.config.value_weight * squared).backward();
  PolicyReference reference{item(policy_loss), item(squared), item(terms.entropy), to_vector(policy.grad()), {}, 0.0};
  if (!row.log_sigma.empty()) reference.d_log_sigma = to_vector(log_sigma.grad());
  reference.d_value = item(value.grad());
  return reference;
}

TdReference td_reference(TdLoss loss, float q, float target) {
  const at::Tensor prediction = scalar_leaf(q), y = scalar_leaf(target).detach();
  const at::Tensor value = loss == TdLoss::kHuber ? at::huber_loss(prediction, y, at::Reduction::Sum, 1.0)
                                                  : 0.5 * at::mse_loss(prediction, y, at::Reduction::Sum);
  value.backward();
  return {item(value), item(prediction.grad())};
}

DistributionReference categorical_reference(const std::vector<float>& logits) {
  const at::Tensor x = leaf(logits).detach();
  const at::Tensor p = at::softmax(x, 0);
  return {item(at::logsumexp(x, {0})), -item((p * at::log_softmax(x, 0)).sum())};
}

std::vector<double> normalized_reference(const std::vector<float>& advantages) {
  const at::Tensor a = leaf(advantages).detach();
  return to_vector((a - a.mean()) / (a.std() + 1e-8));
}

std::vector<double> singular_values(const std::vector<float>& matrix, int rows, int columns) {
  return to_vector(at::linalg_svdvals(copy_of(matrix.data(), {rows, columns}, {columns, 1})));
}

}  // namespace stampede
