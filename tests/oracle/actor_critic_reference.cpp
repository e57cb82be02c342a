// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/actor_critic_reference.h"

#include <ATen/ATen.h>

#include <cmath>

namespace stampede {
namespace {

at::Tensor constant(const std::vector<float>& values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return at::from_blob(const_cast<float*>(values.data()), {size}, at::kFloat).to(at::kDouble).clone();
}

at::Tensor leaf(const std::vector<float>& values) { return constant(values).set_requires_grad(true); }

std::vector<double> to_vector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

double item(const at::Tensor& tensor) { return tensor.item<double>(); }

}  // namespace

SquashedReference squashed_reference(float mean, float log_sigma, float noise, float d_log_prob, float d_action) {
  const at::Tensor m = leaf({mean}), s = leaf({log_sigma});
  const at::Tensor u = m + s.exp() * static_cast<double>(noise);
  const at::Tensor z = (u - m) / s.exp();
  const double half_log_two_pi = 0.5 * std::log(2.0 * 3.14159265358979323846);
  const at::Tensor slope = 2.0 * (std::log(2.0) - u - at::softplus(-2.0 * u));
  const at::Tensor log_prob = (-0.5 * z.square() - s - half_log_two_pi - slope).sum();
  const at::Tensor action = u.tanh().sum();
  (log_prob * static_cast<double>(d_log_prob) + action * static_cast<double>(d_action)).backward();
  return {item(action), item(log_prob), item(m.grad()), item(s.grad())};
}

DiscretePolicyReference discrete_policy_reference(const std::vector<float>& logits, const std::vector<float>& q,
                                                  float alpha) {
  const at::Tensor x = leaf(logits);
  const at::Tensor log_p = at::log_softmax(x, 0), p = at::softmax(x, 0);
  const at::Tensor loss = (p * (log_p * static_cast<double>(alpha) - constant(q))).sum();
  loss.backward();
  return {item(loss), item((p * log_p).sum()), to_vector(x.grad())};
}

CriticReference critic_reference(const std::vector<float>& q, float target) {
  const at::Tensor x = leaf(q);
  const at::Tensor loss =
      0.5 * at::mse_loss(x, at::full_like(x, static_cast<double>(target)).detach(), at::Reduction::Sum);
  loss.backward();
  return {item(loss), to_vector(x.grad())};
}

std::vector<double> softened_reference(const std::vector<float>& logits, const std::vector<float>& noise,
                                       const std::vector<float>& d_action, float temperature) {
  const at::Tensor x = leaf(logits);
  (at::softmax((x + constant(noise)) / static_cast<double>(temperature), 0) * constant(d_action)).sum().backward();
  return to_vector(x.grad());
}

double temperature_reference(float log_alpha, const std::vector<float>& log_probs, float target_entropy) {
  const at::Tensor x = leaf({log_alpha});
  (-x * (constant(log_probs) + static_cast<double>(target_entropy)).mean()).sum().backward();
  return item(x.grad());
}

}  // namespace stampede
