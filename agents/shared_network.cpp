// SPDX-License-Identifier: Apache-2.0
#include "agents/shared_network.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/optimizer_cpu.h"

namespace stampede {

SharedNetwork::SharedNetwork(std::shared_ptr<const Network> network, const RmsPropConfig& config, Arena& arena)
    : network_(std::move(network)), config_(config) {
  parameters_ = arena.take<float>(spec().parameter_count());
  squares_ = arena.take<float>(spec().parameter_count());
}

void SharedNetwork::initialize(std::uint64_t seed) { spec().initialize(seed, parameters_.data); }

WorkerNetwork::WorkerNetwork(SharedNetwork& shared, Arena& arena) : shared_(shared) {
  const std::size_t count = spec().parameter_count();
  parameters_ = arena.take<float>(count);
  gradients_ = arena.take<float>(count);
  prepared_ = arena.take<float>(network().prepared_size());
  scratch_ = arena.take<float>(optimizer_scratch_size(count));
}

void WorkerNetwork::synchronize() {
  hogwild_copy(shared_.parameters().data, parameters_.data, parameters_.size());
}

void WorkerNetwork::prepare(const Stream& stream) {
  fill_zero(stream, gradients_.data, gradients_.size() * sizeof(float));
  network().prepare_backward(stream, parameters_.data, prepared_.data);
}

float WorkerNetwork::apply(const Stream& stream, float learning_rate) {
  const OptimizerBlocks blocks{nullptr, gradients_.data, nullptr, nullptr, scratch_.data, gradients_.size()};
  const float norm = cpu_combine_gradients(stream, blocks, 1, 1.0f);
  if (!std::isfinite(norm)) shared_.fail();
  if (shared_.failed()) return norm;
  const float max_norm = shared_.config().max_norm;
  const float clip = max_norm > 0.0f ? std::min(1.0f, max_norm / (norm + 1e-6f)) : 1.0f;
  hogwild_rmsprop(shared_.config(), shared_.blocks(), gradients_.data, clip, learning_rate, parameters_.data);
  shared_.count_update();
  return norm;
}

}  // namespace stampede
