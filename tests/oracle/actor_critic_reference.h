// SPDX-License-Identifier: Apache-2.0
// What LibTorch's autograd makes, in double, of off-policy actor-critic losses as their papers write them. No LibTorch
// header is needed to use it.
#pragma once

#include <vector>

namespace stampede {

// a = tanh(mean + exp(log_sigma) noise); derivatives of d_log_prob * log pi(a) + d_action * a.
struct SquashedReference {
  double action = 0.0, log_prob = 0.0, d_mean = 0.0, d_log_sigma = 0.0;
};
SquashedReference squashed_reference(float mean, float log_sigma, float noise, float d_log_prob, float d_action);

// Christodoulou 2019, equation 12, of one state.
struct DiscretePolicyReference {
  double loss = 0.0, log_prob = 0.0;
  std::vector<double> d_logits;
};
DiscretePolicyReference discrete_policy_reference(const std::vector<float>& logits, const std::vector<float>& q,
                                                  float alpha);

// The sum over critics of 1/2 (q - target)^2.
struct CriticReference {
  double loss = 0.0;
  std::vector<double> d_q;
};
CriticReference critic_reference(const std::vector<float>& q, float target);

// sum_j d_action_j softmax((logits + noise) / temperature)_j.
std::vector<double> softened_reference(const std::vector<float>& logits, const std::vector<float>& noise,
                                       const std::vector<float>& d_action, float temperature);

// Haarnoja et al. 2018b, equation 18 with alpha = exp(log_alpha) inside the logarithm: by log_alpha.
double temperature_reference(float log_alpha, const std::vector<float>& log_probs, float target_entropy);

}  // namespace stampede
