// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/policy_reference.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace stampede {
namespace {

at::Tensor constant(const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())}, at::kFloat)
      .to(at::kDouble)
      .clone();
}

double item(const at::Tensor& tensor) { return tensor.item<double>(); }

struct Terms {
  at::Tensor log_prob, entropy;
};

const double kHalfLogTwoPiDouble = 0.5 * std::log(2.0 * 3.14159265358979323846);

at::Tensor log_density(const at::Tensor& z, const at::Tensor& log_sigma) {
  return -0.5 * z.square() - log_sigma - kHalfLogTwoPiDouble;
}

at::Tensor log_slope(const at::Tensor& u) { return (1.0 - u.tanh().square()).log(); }

Terms gaussian(const ContinuousCase& row, const at::Tensor& outputs, const at::Tensor& raw) {
  const at::Tensor mean = outputs.narrow(0, 0, row.size);
  const at::Tensor log_sigma =
      (outputs.narrow(0, row.size, row.size) + static_cast<double>(row.initial_log_sigma)).clamp(-20.0, 2.0);
  const at::Tensor z = (raw - mean) * (-log_sigma).exp();
  if (row.policy == ContinuousPolicy::kStateGaussian) {
    return {log_density(z, log_sigma).sum(), (0.5 + kHalfLogTwoPiDouble + log_sigma).sum()};
  }
  const at::Tensor noise = z.detach(), u = mean + log_sigma.exp() * noise;
  return {(log_density(z, log_sigma) - log_slope(raw)).sum(), -(log_density(noise, log_sigma) - log_slope(u)).sum()};
}

Terms beta(const ContinuousCase& row, const at::Tensor& outputs, const at::Tensor& x) {
  const at::Tensor a = 1.0 + at::softplus(outputs.narrow(0, 0, row.size));
  const at::Tensor b = 1.0 + at::softplus(outputs.narrow(0, row.size, row.size));
  const at::Tensor log_beta = a.lgamma() + b.lgamma() - (a + b).lgamma();
  const at::Tensor log_prob = (a - 1.0) * x.log() + (b - 1.0) * (1.0 - x).log() - log_beta;
  const at::Tensor entropy =
      log_beta - (a - 1.0) * a.digamma() - (b - 1.0) * b.digamma() + (a + b - 2.0) * (a + b).digamma();
  return {log_prob.sum(), entropy.sum()};
}

Terms multi_categorical(const ContinuousCase& row, const at::Tensor& outputs, const at::Tensor& raw) {
  const at::Tensor log_p = at::log_softmax(outputs.view({row.size, row.bins}), 1);
  return {log_p.gather(1, raw.to(at::kLong).view({row.size, 1})).sum(), -(log_p.exp() * log_p).sum()};
}

SurrogateReference finish(const at::Tensor& loss, const at::Tensor& log_prob) {
  loss.backward();
  return {item(loss), item(log_prob.grad())};
}

at::Tensor scalar_leaf(double value) { return at::full({}, value, at::kDouble).set_requires_grad(true); }

}  // namespace

ContinuousReference continuous_reference(const ContinuousCase& row, double d_log_prob, double d_entropy) {
  const at::Tensor outputs = constant(row.outputs).set_requires_grad(true), raw = constant(row.raw);
  const Terms terms = row.policy == ContinuousPolicy::kBeta               ? beta(row, outputs, raw)
                      : row.policy == ContinuousPolicy::kMultiCategorical ? multi_categorical(row, outputs, raw)
                                                                          : gaussian(row, outputs, raw);
  (d_log_prob * terms.log_prob + d_entropy * terms.entropy).backward();
  const at::Tensor gradient = outputs.grad().contiguous();
  return {item(terms.log_prob),
          item(terms.entropy),
          {gradient.data_ptr<double>(), gradient.data_ptr<double>() + gradient.numel()}};
}

SurrogateReference score_reference(double log_prob, double advantage) {
  const at::Tensor l = scalar_leaf(log_prob);
  return finish(-advantage * l, l);
}

SurrogateReference penalty_reference(double log_prob, double old_log_prob, double advantage, double beta_weight) {
  const at::Tensor l = scalar_leaf(log_prob);
  const at::Tensor ratio = (l - old_log_prob).exp();
  return finish(-advantage * ratio + beta_weight * ((ratio - 1.0) - ratio.log()), l);
}

}  // namespace stampede
