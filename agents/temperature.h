// SPDX-License-Identifier: Apache-2.0
// The weight alpha of entropy against reward, fixed or learned so that the entropy keeps to a target: Haarnoja et al.
// 2018 (arXiv:1812.05905), section 5.
#pragma once

#include "agents/losses/temperature_loss.h"
#include "kernels/arena.h"
#include "kernels/optimizer.h"
#include "kernels/readback.h"

namespace stampede {

struct TemperatureConfig {
  bool automatic = true;
  float initial = 1.0f;  // alpha at the start, or always
  float target_entropy = -1.0f;
};

class Temperature {
 public:
  Temperature(const TemperatureConfig& config, const OptimizerConfig& optimizer, Arena& arena);

  void initialize(const Stream& stream);
  // After log_alpha was restored.
  void refresh(const Stream& stream);
  // alpha in device memory, [1].
  const float* alpha() const { return alpha_.data; }
  // Asks for alpha and whether a gradient was not finite, and hands over what the latest request asked for; the others
  // alone wait, for their copies.
  void request(const Stream& stream) {
    alpha_readback_.request(stream, alpha_);
    state_readback_.request(stream, state_);
  }
  float take_alpha(const Stream& stream) const { return alpha_readback_.wait(stream)[0]; }
  bool take_failed(const Stream& stream) const { return state_readback_.wait(stream)[0].failed != 0; }
  // One step on the mean of log pi over `rows` rows, whose sums lie at log_prob_sums[g * stride] for `groups` groups.
  // Does nothing when alpha is fixed. Stream-ordered.
  void update(const Stream& stream, const double* log_prob_sums, int stride, int groups, int rows, float learning_rate);

  const TemperatureConfig& config() const { return config_; }
  // Adam state and log alpha, all padded to a vector: for checkpoints.
  View<float> log_alpha() const { return log_alpha_; }
  View<float> first_moment() const { return first_moment_; }
  View<float> second_moment() const { return second_moment_; }
  View<LearnerState> state() const { return state_; }

 private:
  TemperatureConfig config_;
  OptimizerConfig optimizer_;
  View<float> log_alpha_, first_moment_, second_moment_, gradient_, scratch_;  // [16], log alpha first
  View<float> alpha_;                                                          // [1]
  View<LearnerState> state_;
  Readback<float> alpha_readback_;
  Readback<LearnerState> state_readback_;
};

}  // namespace stampede
