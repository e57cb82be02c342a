// SPDX-License-Identifier: Apache-2.0
// State-dependent noise on outputs that a test chooses: no network has to compute them.
#pragma once

#include <vector>

#include "agents/state_noise.h"
#include "kernels/buffer.h"

namespace stampede {

class StateNoiseRig {
 public:
  StateNoiseRig(const StateNoiseConfig& config, int features, int actions, int rows)
      : rows_(rows),
        spec_(make_spec(features, actions)),
        noise_(config, spec_, actions),
        network_(Device{}, spec_.parameter_count()),
        outputs_(Device{}, static_cast<std::size_t>(rows * spec_.output_stride())),
        d_outputs_(Device{}, outputs_.size()),
        gradients_(Device{}, spec_.parameter_count()),
        arena_(Device{}) {
    for (int pass = 0; pass < 2; ++pass) {
      acting_ = noise_.take_acting(rows, arena_);
      learning_ = noise_.take_learning(rows, arena_);
      if (pass == 0) arena_.allocate("test");
    }
  }

  float& log_sigma(int feature, int action) {
    return network_.data()[spec_.vector_offset(StateNoise::kName) + static_cast<std::size_t>(feature * 16 + action)];
  }
  float& feature(int row, int k) { return outputs_.data()[row * spec_.output_stride() + spec_.features().column + k]; }
  float* d_log_sigma(int row) { return learning_.d_log_sigma + row * 16; }
  float d_feature(int row, int k) const {
    return d_outputs_.data()[row * spec_.output_stride() + spec_.features().column + k];
  }
  float gradient(int feature, int action) const {
    return gradients_.data()[spec_.vector_offset(StateNoise::kName) + static_cast<std::size_t>(feature * 16 + action)];
  }

  // Log deviations [rows, 16].
  const float* measure() {
    noise_.measure(stream, network_.data(), outputs_.data(), rows_, learning_);
    return learning_.log_sigma;
  }
  // Noise [rows, 16] of environments [begin, begin + rows).
  std::vector<float> draw(std::uint64_t seed, std::uint64_t row, int begin = 0) {
    noise_.measure(stream, network_.data(), outputs_.data(), rows_, acting_);
    noise_.draw(stream, outputs_.data(), begin, rows_, seed, row, acting_);
    return {acting_.noise, acting_.noise + rows_ * 16};
  }
  // Adds to gradient() and d_feature(), from d_log_sigma().
  void backward() { noise_.backward(stream, outputs_.data(), rows_, learning_, d_outputs_.data(), gradients_.data()); }

  const Stream stream = Stream::cpu(2);

 private:
  static NetworkSpec make_spec(int features, int actions) {
    TowerSpec tower{"actor", {features}, Activation::kTanh, {{"policy", actions, 1.0f}}};
    tower.features = true;
    return {3, false, {tower}, {{StateNoise::kName, features, 0.0f, actions}}};
  }

  int rows_;
  NetworkSpec spec_;
  StateNoise noise_;
  Buffer<float> network_, outputs_, d_outputs_, gradients_;
  Arena arena_;
  StateNoise::Scratch acting_, learning_;
};

}  // namespace stampede
