// SPDX-License-Identifier: Apache-2.0
// The parameters that asynchronous workers share: Mnih et al. 2016 (arXiv:1602.01783), section 4. CPU only.
#pragma once

#include <atomic>
#include <cstdint>

#include "agents/trainable_network.h"
#include "kernels/hogwild.h"

namespace stampede {

// The seed of everything a worker's agent draws, derived from the run's.
std::uint64_t worker_seed(std::uint64_t seed, int worker);

// Parameters theta and RMSProp statistics g, which every worker changes without locks. A worker has a TrainableNetwork
// of its own, whose parameters are a snapshot of theta, taken when it last added a gradient; its optimiser stands idle.
// The blocks race while workers run and may be read and written by anybody in between.
class SharedNetwork {
 public:
  SharedNetwork(NetworkSpec spec, const RmsPropConfig& config, Arena& arena);

  const NetworkSpec& spec() const { return spec_; }
  View<float> parameters() const { return parameters_; }  // [P]
  View<float> squares() const { return squares_; }        // [P]

  // Fresh parameters; statistics zero.
  void initialize(std::uint64_t seed);
  // The worker's parameters become those shared now.
  void snapshot(const Stream& stream, TrainableNetwork& worker) const;
  // Adds the worker's gradient, the sum of its first `groups` blocks times scale, clipped by norm; then the worker has
  // a new snapshot. A norm that is not finite stops the updates of all workers instead, and parameters stay the last
  // good ones. The worker's learner state counts updates and keeps the norm before clipping.
  void add(const Stream& stream, TrainableNetwork& worker, int groups, float scale, float learning_rate);

  // Of all workers.
  std::int64_t updates() const { return updates_.load(std::memory_order_relaxed); }
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  // Continues a checkpoint.
  void restore(std::int64_t updates) { updates_ = updates; }

 private:
  NetworkSpec spec_;
  RmsPropConfig config_;
  View<float> parameters_, squares_;
  // On lines of their own: what workers write must not lie beside what they read all the time.
  alignas(64) std::atomic<std::int64_t> updates_{0};
  alignas(64) std::atomic<bool> failed_{false};
};

}  // namespace stampede
