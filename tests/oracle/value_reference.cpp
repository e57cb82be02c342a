// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/value_reference.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace stampede {
namespace {

at::Tensor tensor_of(const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())}, at::kFloat)
      .to(at::kDouble)
      .clone();
}

double item(const at::Tensor& tensor) { return tensor.item<double>(); }

// [actions, atoms]
at::Tensor values_of(const ValueHeads& heads, const at::Tensor& row) {
  const at::Tensor matrix = row.view({-1, heads.atoms()});
  if (!heads.dueling) return matrix;
  const at::Tensor value = matrix.slice(0, 0, 1), advantages = matrix.slice(0, 1);
  return value + advantages - advantages.mean(0, true);
}

struct Policy {
  at::Tensor probabilities, bonus;  // [actions]
};
Policy policy_of(const ValueCase& row) {
  const at::Tensor q = tensor_of(row.next_q);
  if (row.loss.temperature > 0.0f) {
    const auto temperature = static_cast<double>(row.loss.temperature);
    return {at::softmax(q / temperature, 0), -temperature * at::log_softmax(q / temperature, 0)};
  }
  at::Tensor chosen = at::zeros_like(q);
  chosen[q.argmax().item<std::int64_t>()] = 1.0;
  return {chosen, at::zeros_like(q)};
}

// The mass of each moved atom falls off linearly with its distance from the atoms of the support.
at::Tensor projected(const at::Tensor& support, const at::Tensor& places, const at::Tensor& masses) {
  const at::Tensor spacing = support[1] - support[0];
  const at::Tensor bounded = places.clamp(support.min(), support.max());
  const at::Tensor shares = (1.0 - (bounded.view({1, -1}) - support.view({-1, 1})).abs() / spacing).clamp(0.0, 1.0);
  return at::mv(shares, masses.reshape({-1}));
}

at::Tensor scalar_loss(const ValueCase& row, const at::Tensor& q, const at::Tensor& y) {
  return row.loss.td == TdLoss::kHuber ? at::huber_loss(q, y, at::Reduction::Sum, 1.0)
                                       : 0.5 * at::mse_loss(q, y, at::Reduction::Sum);
}

at::Tensor quantile_loss(const ValueCase& row, const at::Tensor& theta, const at::Tensor& targets,
                         const at::Tensor& masses) {
  const auto atoms = theta.numel();
  const auto kappa = static_cast<double>(row.loss.kappa);
  const at::Tensor tau = (at::arange(atoms, at::kDouble) + 0.5) / static_cast<double>(atoms);
  const at::Tensor u = targets.view({1, -1}) - theta.view({-1, 1});
  const at::Tensor huber = at::where(u.abs() <= kappa, 0.5 * u * u, kappa * (u.abs() - 0.5 * kappa)) / kappa;
  const at::Tensor tilt = (tau.view({-1, 1}) - (u.detach() < 0).to(at::kDouble)).abs();
  return (tilt * huber * masses.view({1, -1})).sum();
}

}  // namespace

ValueReference value_reference(const ValueCase& row) {
  const ValueHeads& heads = row.loss.heads;
  at::Tensor outputs = tensor_of(row.outputs).set_requires_grad(true);
  const at::Tensor prediction = values_of(heads, outputs)[row.action];
  const at::Tensor next = values_of(heads, tensor_of(row.target_outputs));
  const Policy policy = policy_of(row);
  const auto reward = static_cast<double>(row.reward), discount = static_cast<double>(row.discount);
  const at::Tensor bonus = policy.bonus.view({-1, 1}), probabilities = policy.probabilities.view({-1, 1});

  ValueReference reference;
  at::Tensor loss, q, target;
  if (heads.distribution == ValueDistribution::kCategorical) {
    const at::Tensor support = at::linspace(static_cast<double>(heads.support.v_min),
                                            static_cast<double>(heads.support.v_max), heads.atoms(), at::kDouble);
    const at::Tensor places = reward + discount * (support.view({1, -1}) + bonus);
    const at::Tensor m = projected(support, places, probabilities * at::softmax(next, 1));
    loss = -(m * at::log_softmax(prediction, 0)).sum();
    q = at::dot(at::softmax(prediction, 0), support);
    target = at::dot(m, support);
    reference.divergence = item(loss) + item(at::xlogy(m, m).sum());
  } else {
    const at::Tensor targets = reward + discount * (next + bonus);
    const at::Tensor masses = (probabilities / static_cast<double>(heads.atoms())).expand_as(targets);
    q = prediction.mean();
    target = (targets * masses).sum();
    loss = heads.distribution == ValueDistribution::kNone
               ? scalar_loss(row, q, target)
               : quantile_loss(row, prediction, targets.reshape({-1}), masses.reshape({-1}));
  }
  loss.backward();
  reference.loss = item(loss);
  reference.q = item(q);
  reference.target = item(target);
  const at::Tensor gradient = outputs.grad().contiguous();
  reference.d_outputs.assign(gradient.data_ptr<double>(), gradient.data_ptr<double>() + gradient.numel());
  return reference;
}

}  // namespace stampede
