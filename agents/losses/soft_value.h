// SPDX-License-Identifier: Apache-2.0
// The policy that a target assumes at the next state, greedy or Boltzmann: soft Q-learning after Haarnoja et al. 2017
// (arXiv:1702.08165), equations 5 and 6, for discrete actions.
#pragma once

#include "agents/distributions.h"

namespace stampede {

// V(s) = alpha log sum_a exp(Q(s, a) / alpha), with the maximum taken out first; alpha > 0 is the temperature.
HD float soft_value(const float* q, int actions, float temperature) {
  float largest = q[0];
  for (int a = 1; a < actions; ++a) largest = q[a] > largest ? q[a] : largest;
  const float inverse = 1.0f / temperature;
  float sum = 0.0f;
  for (int a = 0; a < actions; ++a) sum += exp_of((q[a] - largest) * inverse);
  return fused(temperature, log_of(sum), largest);
}

// A sample of pi(a) = exp((Q(a) - V) / alpha); u uniform in [0, 1).
HD int sample_boltzmann(const float* q, int actions, float temperature, float u) {
  const float value = soft_value(q, actions, temperature);
  const float inverse = 1.0f / temperature;
  float cumulative = 0.0f;
  int action = 0;
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
  for (int a = 0; a < actions - 1; ++a) {
    cumulative += exp_of((q[a] - value) * inverse);
#ifndef __CUDA_ARCH__
    if (u < cumulative) break;  // saves exponentials; lanes of a warp would diverge
#endif
    action += u < cumulative ? 0 : 1;
  }
  return action;
}

// Values that choose the next action, and how. Temperature 0 is greedy. The target's values may be other ones than
// those that choose (Double Q-learning): V = sum_a pi(a) (Q_target(a) - alpha log pi(a)), which is soft_value() when
// they are the same.
class NextPolicy {
 public:
  HD NextPolicy(const float* q, int actions, float temperature)
      : q_(q), actions_(actions), temperature_(temperature), inverse_(temperature > 0.0f ? 1.0f / temperature : 0.0f) {
    greedy_ = argmax(q, actions);
    value_ = temperature > 0.0f ? soft_value(q, actions, temperature) : 0.0f;
  }

  HD bool soft() const { return temperature_ > 0.0f; }
  HD int greedy() const { return greedy_; }
  // The actions choice(0), choice(1), ... that may be taken.
  HD int choices() const { return soft() ? actions_ : 1; }
  HD int choice(int i) const { return soft() ? i : greedy_; }
  // pi(a); 0 or 1 when greedy.
  HD float probability(int action) const {
    if (!soft()) return action == greedy_ ? 1.0f : 0.0f;
    return exp_of((q_[action] - value_) * inverse_);
  }
  // -alpha log pi(a): what the entropy term adds to the return of that action; 0 when greedy.
  HD float entropy_bonus(int action) const { return soft() ? value_ - q_[action] : 0.0f; }

 private:
  const float* q_;
  int actions_;
  float temperature_, inverse_, value_;
  int greedy_;
};

// alpha times the entropy of pi(a) = exp((Q(a) - V) / alpha): what the state adds to a soft return that runs through
// it.
HD float soft_entropy(const float* q, int actions, float temperature) {
  const NextPolicy policy(q, actions, temperature);
  float sum = 0.0f;
  for (int a = 0; a < actions; ++a) sum = fused(policy.probability(a), policy.entropy_bonus(a), sum);
  return sum;
}

}  // namespace stampede
