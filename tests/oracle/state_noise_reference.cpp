// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/state_noise_reference.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace stampede {
namespace {

at::Tensor matrix_leaf(const std::vector<float>& values, int rows, int columns) {
  return at::from_blob(const_cast<float*>(values.data()), {rows, columns}, at::kFloat)
      .to(at::kDouble)
      .clone()
      .set_requires_grad(true);
}

std::vector<double> list_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

}  // namespace

StateNoiseReference state_noise_reference(const StateNoiseCase& c, double d_log_prob, double d_entropy) {
  const at::Tensor z = matrix_leaf(c.z, c.rows, c.features), means = matrix_leaf(c.means, c.rows, c.actions);
  const at::Tensor log_sigma = matrix_leaf(c.log_sigma, c.features, c.actions);
  const at::Tensor action = matrix_leaf(c.action, c.rows, c.actions).detach();
  const at::Tensor variance = at::mm(z.square(), log_sigma.exp().square()) + 1e-6;
  const double log_two_pi = std::log(2.0 * 3.14159265358979323846);
  const at::Tensor log_prob = -0.5 * ((action - means).square() / variance + variance.log() + log_two_pi).sum(1);
  const at::Tensor entropy = 0.5 * (1.0 + log_two_pi + variance.log()).sum(1);
  (d_log_prob * log_prob + d_entropy * entropy).sum().backward();
  return {list_of(log_prob), list_of(entropy), list_of(means.grad()), list_of(log_sigma.grad()), list_of(z.grad())};
}

}  // namespace stampede
