// SPDX-License-Identifier: Apache-2.0
#include "agents/trainable_network.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/optimizer_cpu.h"

namespace stampede {

int gradient_groups(const Stream& stream, const Network& network, int batch) {
  if (network.preferred_rows(stream) == 0) return 1;
  return std::clamp((batch + 31) / 32, 1, 16);
}

int tile_rows(const Stream& stream, const Network& network, int batch) {
  const int preferred = network.preferred_rows(stream);
  return preferred == 0 ? batch : std::min(preferred, batch);
}

void follow(const Stream& stream, const NetworkSpec& spec, const float* parameters, float* target, float tau) {
  polyak_update(stream, parameters, target, spec.parameter_count(), tau);
  for (const LayerLayout& layer : spec.layers()) {
    if (!layer.batch_norm) continue;
    const auto size = 2 * static_cast<std::size_t>(layer.out_stride);  // mean and variance, side by side
    polyak_update(stream, parameters + layer.norm_mean, target + layer.norm_mean, size, 1.0f);
  }
}

TrainableNetwork::TrainableNetwork(std::shared_ptr<const Network> network, const OptimizerConfig& config,
                                   int max_groups, Arena& arena, std::size_t extra)
    : network_(std::move(network)), config_(config) {
  const std::size_t count = spec().parameter_count() + extra;
  parameters_ = arena.take<float>(count);
  first_moment_ = arena.take<float>(count);
  second_moment_ = arena.take<float>(count);
  take_gradients(max_groups, arena);
  state_ = arena.take<LearnerState>(1);
}

TrainableNetwork::TrainableNetwork(std::shared_ptr<const Network> network, const OptimizerConfig& config,
                                   int max_groups, const TrainableNetwork& whole, std::size_t offset, Arena& arena)
    : network_(std::move(network)), config_(config), state_(whole.state_) {
  const std::size_t count = spec().parameter_count();
  parameters_ = {whole.parameters_.data + offset, {count}};
  first_moment_ = {whole.first_moment_.data + offset, {count}};
  second_moment_ = {whole.second_moment_.data + offset, {count}};
  take_gradients(max_groups, arena);
}

void TrainableNetwork::take_gradients(int max_groups, Arena& arena) {
  const std::size_t count = parameters_.size();
  gradients_ = arena.take<float>(count * static_cast<std::size_t>(max_groups));
  scratch_ = arena.take<float>(optimizer_scratch_size(count));
  prepared_ = arena.take<float>(network_->prepared_size());
}

void TrainableNetwork::initialize(const Stream& stream, std::uint64_t seed) {
  std::vector<float> host(spec().parameter_count());
  spec().initialize(seed, host.data());
  load(stream, host.data());
}

void TrainableNetwork::load(const Stream& stream, const float* host) {
  copy_to_device(stream, parameters_.data, host, spec().parameter_count() * sizeof(float));
  refresh(stream);
}

void TrainableNetwork::clear_gradients(const Stream& stream, int group) const {
  fill_zero(stream, gradients(group), spec().parameter_count() * sizeof(float));
}

void TrainableNetwork::refresh(const Stream& stream, const float* parameters) {
  network_->prepare_backward(stream, parameters, prepared_.data);
}

OptimizerBlocks TrainableNetwork::optimizer_blocks() const {
  return {parameters_.data,    gradients_.data, first_moment_.data,
          second_moment_.data, scratch_.data,   parameters_.size()};
}

void TrainableNetwork::step(const Stream& stream, int groups, float learning_rate) {
  optimizer_step(stream, config_, optimizer_blocks(), groups, learning_rate, 1.0f, state_.data);
}

float TrainableNetwork::combine_gradients(const Stream& stream, int groups, float scale) const {
  const OptimizerBlocks blocks{nullptr, gradients_.data, nullptr, nullptr, scratch_.data, parameters_.size()};
  return cpu_combine_gradients(stream, blocks, groups, scale);
}

void TrainableNetwork::update(const Stream& stream, int groups, float learning_rate) {
  step(stream, groups, learning_rate);
  refresh(stream);
}

}  // namespace stampede
