// SPDX-License-Identifier: Apache-2.0
// A network with everything that training it needs: parameters, gradients by group, optimiser moments, learner state.
#pragma once

#include <omp.h>

#include <exception>
#include <functional>
#include <memory>

#include "agents/networks/network.h"
#include "kernels/arena.h"
#include "kernels/optimizer.h"

namespace stampede {

// Makes the network of a spec: the native MLP, or one of another library behind the same interface.
using NetworkFactory = std::function<std::unique_ptr<Network>(const NetworkSpec&)>;

// A batch's gradient is cut into contiguous groups whose number depends on the batch alone, so that sums have the same
// shape on any number of threads. A device that takes whole batches has one group.
int gradient_groups(const Stream& stream, const Network& network, int batch);

// Rows of one forward() and backward() within a group: the network's preferred tile, at most the batch.
int tile_rows(const Stream& stream, const Network& network, int batch);

// target = target + tau (parameters - target) for a block of the network's; running statistics of batch normalisation
// are copied. Stream-ordered.
void follow(const Stream& stream, const NetworkSpec& spec, const float* parameters, float* target, float tau);

// Calls work(group, begin, end, worker, stream) for every group of rows [0, batch), in parallel on a CPU stream;
// worker in [0, stream.threads()) names the scratch to use. Rethrows what a group threw.
template <class Work>
void for_each_group(const Stream& stream, int batch, int groups, const Work& work) {
  const Stream serial = stream.serial();
  const auto begin_of = [&](int g) { return static_cast<int>(static_cast<std::int64_t>(g) * batch / groups); };
  if (groups == 1) return work(0, 0, batch, 0, stream);  // a library that takes whole batches has its own threads
  if (stream.threads() == 1) {
    for (int g = 0; g < groups; ++g) work(g, begin_of(g), begin_of(g + 1), 0, serial);
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(static) num_threads(stream.threads())
  for (int g = 0; g < groups; ++g) {
    try {
      work(g, begin_of(g), begin_of(g + 1), omp_get_thread_num(), serial);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

class TrainableNetwork {
 public:
  // extra: floats trained with the network's parameters and lying behind them, a multiple of 16, such as the sigmas of
  // noisy layers. Whoever adds them writes their gradients.
  TrainableNetwork(std::shared_ptr<const Network> network, const OptimizerConfig& config, int max_groups, Arena& arena,
                   std::size_t extra = 0);
  // A part of `whole` trained by itself: `network` computes it from the parameters that start at `offset` of whole's.
  // Parameters, moments and learner state are whole's own, gradients are not.
  TrainableNetwork(std::shared_ptr<const Network> network, const OptimizerConfig& config, int max_groups,
                   const TrainableNetwork& whole, std::size_t offset, Arena& arena);

  const Network& network() const { return *network_; }
  const NetworkSpec& spec() const { return network_->spec(); }
  const float* parameters() const { return parameters_.data; }
  const float* prepared() const { return prepared_.data; }
  float* gradients(int group) const { return gradients_.data + static_cast<std::size_t>(group) * parameters_.size(); }
  // Of the first groups, side by side: [groups, P + extra]. After an update the first holds their sum.
  View<float> gradient_block(int groups) const {
    return {gradients_.data, {static_cast<std::size_t>(groups) * parameters_.size()}};
  }
  // backward() adds: a group's block is cleared before its first tile.
  void clear_gradients(const Stream& stream, int group) const;
  LearnerState* state() const { return state_.data; }

  void initialize(const Stream& stream, std::uint64_t seed);
  // Host parameters [parameter_count] replace the current ones.
  void load(const Stream& stream, const float* host);
  // See Network::update_statistics. Stream-ordered.
  void update_statistics(const Stream& stream, const float* workspace, int rows) {
    network_->update_statistics(stream, workspace, rows, parameters_.data);
  }
  // One optimiser step from the first `groups` gradient blocks, then what backward() needs. Stream-ordered.
  void update(const Stream& stream, int groups, float learning_rate);
  // What an update outside this class needs: where everything lies.
  OptimizerBlocks optimizer_blocks() const;
  const OptimizerConfig& optimizer() const { return config_; }
  // Only the optimiser step.
  void step(const Stream& stream, int groups, float learning_rate);
  // What backward() needs for the network's own parameters, or for others [parameter_count] in their place.
  void refresh(const Stream& stream) { refresh(stream, parameters_.data); }
  void refresh(const Stream& stream, const float* parameters);
  // The first half of an update, CPU only: the sum of the first `groups` gradient blocks, times scale, is in the first
  // one. Returns its norm.
  float combine_gradients(const Stream& stream, int groups, float scale) const;

  View<float> parameter_block() const { return parameters_; }
  View<float> first_moment() const { return first_moment_; }
  View<float> second_moment() const { return second_moment_; }
  View<LearnerState> state_block() const { return state_; }

 private:
  void take_gradients(int max_groups, Arena& arena);

  std::shared_ptr<const Network> network_;
  OptimizerConfig config_;
  View<float> parameters_, first_moment_, second_moment_;  // [P + extra]
  View<float> gradients_;                                  // [groups, P + extra]
  View<float> scratch_, prepared_;
  View<LearnerState> state_;
};

}  // namespace stampede
