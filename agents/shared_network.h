// SPDX-License-Identifier: Apache-2.0
// What asynchronous workers share and what each keeps to itself: Mnih et al. 2016 (arXiv:1602.01783), section 4. CPU.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "agents/networks/network.h"
#include "kernels/arena.h"
#include "kernels/hogwild.h"

namespace stampede {

// Parameters theta and RMSProp statistics g, which every worker changes without locks. Blocks are racy while workers
// run and may be read and written by anybody in between.
class SharedNetwork {
 public:
  SharedNetwork(std::shared_ptr<const Network> network, const RmsPropConfig& config, Arena& arena);

  const Network& network() const { return *network_; }
  const NetworkSpec& spec() const { return network_->spec(); }
  const RmsPropConfig& config() const { return config_; }
  HogwildBlocks blocks() const { return {parameters_.data, squares_.data, parameters_.size()}; }
  View<float> parameters() const { return parameters_; }
  View<float> squares() const { return squares_; }

  // Fresh parameters; statistics zero.
  void initialize(std::uint64_t seed);

  // Counts updates of all workers.
  std::int64_t updates() const { return updates_.load(std::memory_order_relaxed); }
  void count_update() { updates_.fetch_add(1, std::memory_order_relaxed); }
  // Set when a gradient was not finite: no worker changes the parameters any more.
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  void fail() { failed_.store(true, std::memory_order_relaxed); }
  // Continues a checkpoint.
  void restore(std::int64_t updates) { updates_ = updates; }

 private:
  std::shared_ptr<const Network> network_;
  RmsPropConfig config_;
  View<float> parameters_, squares_;  // [P]
  // On lines of their own: what workers write must not lie beside what they read all the time.
  alignas(64) std::atomic<std::int64_t> updates_{0};
  alignas(64) std::atomic<bool> failed_{false};
};

// A worker's snapshot of the shared parameters, and the gradient it accumulates for them.
class WorkerNetwork {
 public:
  WorkerNetwork(SharedNetwork& shared, Arena& arena);

  const Network& network() const { return shared_.network(); }
  const NetworkSpec& spec() const { return shared_.spec(); }
  const float* parameters() const { return parameters_.data; }
  float* gradients() const { return gradients_.data; }
  const float* prepared() const { return prepared_.data; }

  // Takes a snapshot. Only needed before the first rollout: apply() leaves one.
  void synchronize();
  // Clears the gradient and derives what backward() needs.
  void prepare(const Stream& stream);
  // Clips the gradient, adds it to the shared parameters and keeps what they became. Returns the norm before clipping;
  // a norm that is not finite stops all workers' updates instead.
  float apply(const Stream& stream, float learning_rate);

 private:
  SharedNetwork& shared_;
  View<float> parameters_, gradients_;  // [P]
  View<float> prepared_, scratch_;
};

}  // namespace stampede
