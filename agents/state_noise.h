// SPDX-License-Identifier: Apache-2.0
// Generalised state-dependent exploration: Raffin, Kober & Stulp 2022 (arXiv:2005.05719), section 3. A policy's noise
// is a function of its state that stays the same for some rows: theta^T z(s), where z are the outputs of the policy's
// last hidden layer and theta_kj ~ N(0, sigma_kj^2). Over theta, actions are Gaussian with the variance sum_k z_k^2
// sigma_kj^2, which is what log-probability and entropy are computed from.
#pragma once

#include <cstdint>

#include "agents/networks/network_spec.h"
#include "agents/policy_layout.h"
#include "kernels/arena.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace stampede {

struct StateNoiseConfig {
  bool enabled = false;
  std::int64_t interval = 1;    // rows after which an environment draws a new theta
  bool learn_features = false;  // the gradient of the variance goes on into z
};

// Has no state: theta is named by seed, environment, interval, action and feature, and drawn again on every row.
class StateNoise {
 public:
  static constexpr int kStride = 16;         // floats per row of what there is one of per action
  static constexpr float kSmallest = 1e-6f;  // added to variances
  static constexpr const char* kName = "log_sigma";

  // The parameters, a matrix [features, actions]. Where features are -1 or 1 the first policy's deviation is
  // exp(initial), whatever their number. Throws UsageError where actions are discrete or there is no hidden layer.
  static VectorSpec parameters(const NetworkShape& shape, const Space& action, float initial);

  // spec: shows its features and has the parameters above.
  StateNoise(const StateNoiseConfig& config, const NetworkSpec& spec, int actions);

  // Of rows that act or learn together; those that learn also take what gradients need.
  struct Scratch {
    float *squares = nullptr, *variance_weights = nullptr, *by_action = nullptr;
    float* log_sigma = nullptr;    // [rows, 16], log deviations of the actions
    float* d_log_sigma = nullptr;  // [rows, 16], to be written before backward(); columns from A on zero
    float* noise = nullptr;        // [rows, 16]
    float *d_weights = nullptr, *parts = nullptr;

    LogSigmas log_sigmas() const { return {log_sigma, kStride}; }
  };
  Scratch take_acting(int rows, Arena& arena) const;
  Scratch take_learning(int rows, Arena& arena) const;

  // log_sigma from the features in outputs [rows, output_stride]. Stream-ordered.
  void measure(const Stream& stream, const float* network, const float* outputs, int rows,
               const Scratch& scratch) const;
  // The noise of environments [begin, begin + rows) at `row`, of acting scratch. Stream-ordered.
  void draw(const Stream& stream, const float* outputs, int begin, int rows, std::uint64_t seed, std::uint64_t row,
            const Scratch& scratch) const;
  // After measure(), of learning scratch: from d_log_sigma, which is used up, to the parameters' gradient (added to the
  // block `gradients` of the network) and with learn_features to d_outputs. Stream-ordered.
  void backward(const Stream& stream, const float* outputs, int rows, const Scratch& scratch, float* d_outputs,
                float* gradients) const;

 private:
  Scratch take(int rows, Arena& arena) const;

  StateNoiseConfig config_;
  int actions_, features_, stride_;  // stride_: features_ rounded up to 16
  int column_, output_stride_;
  std::size_t offset_;  // of the parameters
};

}  // namespace stampede
