// SPDX-License-Identifier: Apache-2.0
#include "agents/noisy_parameters.h"

#include <cmath>

#include "agents/distributions.h"
#include "kernels/buffer.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

constexpr int kLanes = 16;  // floats per index: rows are padded to whole ones

HD float noise_factor(float normal) {
  const float root = square_root(normal < 0.0f ? -normal : normal);
  return normal < 0.0f ? -root : root;
}

// Two normals from the four words of one block.
struct DrawNoiseOp {
  RandomKey key;
  std::uint32_t role;
  float* noise;

  HD void operator()(int pair) const {
    const PhiloxBlock block = key.block(static_cast<std::uint32_t>(pair), role);
    noise[2 * pair] = noise_factor(standard_normal(block.word[0], block.word[1]));
    noise[2 * pair + 1] = noise_factor(standard_normal(block.word[2], block.word[3]));
  }
};

// to = from + sigma * noise, or sigma's gradient = mu's gradient * noise, by sixteen columns of a layer's matrix.
struct Matrix {
  const float *inputs, *outputs;  // noise [in], [out_stride]
  int in, lanes;                  // lanes = out_stride / kLanes
};

HD float row_factor(const Matrix& matrix, int row) { return row < matrix.in ? matrix.inputs[row] : 1.0f; }

struct AddNoiseOp {
  Matrix matrix;
  const float *mu, *sigma;
  float* out;

  HD void operator()(int index) const {
    const int row = index / matrix.lanes, lane = index - row * matrix.lanes;
    const float factor = row_factor(matrix, row);
    const float* const columns = matrix.outputs + lane * kLanes;
    const std::size_t offset = static_cast<std::size_t>(index) * kLanes;
    for (int j = 0; j < kLanes; ++j) {
      out[offset + j] = fused(sigma[offset + j], factor * columns[j], mu[offset + j]);
    }
  }
};

struct SigmaGradientOp {
  Matrix matrix;
  const float* d_mu;
  float* d_sigma;

  HD void operator()(int index) const {
    const int row = index / matrix.lanes, lane = index - row * matrix.lanes;
    const float factor = row_factor(matrix, row);
    const float* const columns = matrix.outputs + lane * kLanes;
    const std::size_t offset = static_cast<std::size_t>(index) * kLanes;
    for (int j = 0; j < kLanes; ++j) d_sigma[offset + j] = d_mu[offset + j] * (factor * columns[j]);
  }
};

}  // namespace

NoisyParameters::NoisyParameters(const NetworkSpec& spec, NoisyLayers layers)
    : parameter_count_(spec.parameter_count()) {
  if (layers == NoisyLayers::kOff) return;
  std::size_t quiet = 0;
  for (const LayerLayout& layer : spec.layers()) {
    if (layers == NoisyLayers::kHeads && !layer.name.ends_with(".heads")) continue;
    const std::size_t count = static_cast<std::size_t>(layer.in + 1) * static_cast<std::size_t>(layer.out_stride);
    if (layer.weight > quiet) quiet_.push_back({quiet, layer.weight - quiet});
    quiet = layer.weight + count;
    const int inputs = (layer.in + kLanes - 1) / kLanes * kLanes;
    layers_.push_back({layer.weight, size_, layer.in, layer.out, layer.out_stride, noise_size_});
    size_ += count;
    noise_size_ += inputs + layer.out_stride;
  }
  if (parameter_count_ > quiet) quiet_.push_back({quiet, parameter_count_ - quiet});
}

NoisyDraw NoisyParameters::take_draw(Arena& arena) const {
  if (off()) return {};
  return {arena.take<float>(static_cast<std::size_t>(noise_size_)), arena.take<float>(parameter_count_)};
}

void NoisyParameters::initialize(const Stream& stream, float sigma_0, float* sigma) const {
  std::vector<float> host(size_, 0.0f);
  for (const Layer& layer : layers_) {
    const float value = sigma_0 / std::sqrt(static_cast<float>(layer.in));
    for (int row = 0; row <= layer.in; ++row) {
      float* const columns = host.data() + layer.sigma + static_cast<std::size_t>(row * layer.out_stride);
      for (int j = 0; j < layer.out; ++j) columns[j] = value;
    }
  }
  copy_to_device(stream, sigma, host.data(), host.size() * sizeof(float));
}

void NoisyParameters::draw(const Stream& stream, const float* trained, std::uint64_t seed, std::uint64_t number,
                           NoiseRole role, const NoisyDraw& out) const {
  const RandomKey key{seed, number, Purpose::kParameterNoise};
  for_each_index(stream, noise_size_ / 2, DrawNoiseOp{key, static_cast<std::uint32_t>(role), out.noise.data});
  for (const Range& range : quiet_) {
    copy_on_device(stream, out.parameters.data + range.begin, trained + range.begin, range.count * sizeof(float));
  }
  const float* const sigma = trained + parameter_count_;
  for (const Layer& layer : layers_) {
    const float* const noise = out.noise.data + layer.noise;
    const Matrix matrix{noise, noise + (layer.in + kLanes - 1) / kLanes * kLanes, layer.in, layer.out_stride / kLanes};
    for_each_index(
        stream, (layer.in + 1) * matrix.lanes,
        AddNoiseOp{matrix, trained + layer.parameters, sigma + layer.sigma, out.parameters.data + layer.parameters});
  }
}

void NoisyParameters::fill_sigma_gradient(const Stream& stream, const NoisyDraw& drawn, float* gradients) const {
  float* const d_sigma = gradients + parameter_count_;
  for (const Layer& layer : layers_) {
    const float* const noise = drawn.noise.data + layer.noise;
    const Matrix matrix{noise, noise + (layer.in + kLanes - 1) / kLanes * kLanes, layer.in, layer.out_stride / kLanes};
    for_each_index(stream, (layer.in + 1) * matrix.lanes,
                   SigmaGradientOp{matrix, gradients + layer.parameters, d_sigma + layer.sigma});
  }
}

}  // namespace stampede
