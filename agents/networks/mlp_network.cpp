// SPDX-License-Identifier: Apache-2.0
#include "agents/networks/mlp_network.h"

#include <algorithm>
#include <utility>

#include "kernels/batch_norm.h"
#include "kernels/error.h"
#include "kernels/gemm.h"
#include "kernels/layer_norm.h"

namespace stampede {
namespace {

GemmActivation gemm_activation(Activation activation) {
  switch (activation) {
    case Activation::kTanh:
      return GemmActivation::kTanh;
    case Activation::kRelu:
      return GemmActivation::kRelu;
    case Activation::kLinear:
      break;
  }
  return GemmActivation::kLinear;
}

// Rows of a transposed matrix are padded like its outputs.
int padded_row(int size) { return (size + 15) / 16 * 16; }

// Row-major activations or their gradients.
struct Rows {
  const float* data;
  int stride;
};

}  // namespace

MlpNetwork::MlpNetwork(NetworkSpec spec) : Network(std::move(spec)) {
  const std::vector<LayerLayout>& layers = this->spec().layers();
  int column = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const LayerLayout& layer = layers[l];
    const auto stride = static_cast<std::size_t>(layer.out_stride);
    Place place;
    place.first = l == 0 || layers[l - 1].tower != layer.tower;
    place.last = l + 1 == layers.size() || layers[l + 1].tower != layer.tower;
    place.output_column = column;
    place.kept = kept_;
    place.transposed = prepared_size_;
    largest_gradient_ = std::max(largest_gradient_, (static_cast<std::size_t>(layer.in) + 1) * stride);
    prepared_size_ += static_cast<std::size_t>(layer.out) * static_cast<std::size_t>(padded_row(layer.in));
    if (place.last) {
      column += layer.out_stride;
    } else {
      kept_ += stride;
      if (layer.normalized()) {
        place.normalized = kept_;
        kept_ += stride;
      }
      if (layer.layer_norm) place.inverse = norms_++;
      if (layer.batch_norm) {
        place.statistics = statistics_;
        statistics_ += 2 * stride;
      }
      widest_ = std::max(widest_, stride);
    }
    places_.push_back(place);
  }
}

int MlpNetwork::preferred_rows(const Stream& stream) const {
  // Measured: 64 to 192 rows are equally fast for widths of 64 and 256, both ends outside are slower.
  return stream.is_cuda() || statistics_ > 0 ? 0 : 128;
}

std::size_t MlpNetwork::workspace_size(int rows, bool with_gradient) const {
  return static_cast<std::size_t>(rows) * (2 * widest_ + (with_gradient ? kept_ + norms_ : 0)) +
         (with_gradient ? statistics_ + scratch_size(rows) : 0);
}

// Behind everything else, from a multiple of 16 floats on.
std::size_t MlpNetwork::scratch_size(int rows) const {
  const int parts = gradient_parts(rows);
  return parts == 1 ? 0 : static_cast<std::size_t>(parts) * largest_gradient_ + 16;
}

float* MlpNetwork::gradient_scratch(float* workspace, int rows) const {
  if (gradient_parts(rows) == 1) return nullptr;
  const std::size_t used = static_cast<std::size_t>(rows) * (2 * widest_ + kept_ + norms_) + statistics_;
  return workspace + (used + 15) / 16 * 16;
}

void MlpNetwork::forward(const Stream& stream, const float* parameters, NetworkInput input, int rows, bool keep,
                         float* workspace, float* outputs) const {
  const auto count = static_cast<std::size_t>(rows);
  Rows x{};
  for (std::size_t l = 0; l < places_.size(); ++l) {
    const LayerLayout& layer = spec().layers()[l];
    const Place& place = places_[l];
    if (place.first) x = {input.features, spec().input_stride()};
    float* const hidden = workspace + count * (keep ? place.kept : (l % 2) * widest_);
    float* const y = place.last ? outputs + place.output_column : hidden;
    const int y_stride = place.last ? spec().output_stride() : layer.out_stride;
    const LinearForward op{
        .x = x.data,
        .x_stride = x.stride,
        .w = parameters + layer.weight,
        .b = parameters + layer.bias,
        .y = keep && layer.normalized() ? workspace + count * place.normalized : y,
        .y_stride = y_stride,
        .rows = rows,
        .in = layer.in,
        .out_stride = layer.out_stride,
        .activation = layer.normalized() ? GemmActivation::kLinear : gemm_activation(layer.activation)};
    if (place.first && spec().one_hot()) {
      embedding_forward(stream, op, input.classes);
    } else {
      linear_forward(stream, op);
    }
    if (layer.normalized()) normalize(stream, parameters, l, rows, keep, workspace, y);
    x = {y, y_stride};
  }
}

float* MlpNetwork::inverse_deviations(float* workspace, int rows, std::size_t layer) const {
  return batch_statistics(workspace, rows, 0) + statistics_ + static_cast<std::size_t>(rows) * places_[layer].inverse;
}

float* MlpNetwork::batch_statistics(float* workspace, int rows, std::size_t layer) const {
  return workspace + static_cast<std::size_t>(rows) * (kept_ + 2 * widest_) + places_[layer].statistics;
}

void MlpNetwork::normalize(const Stream& stream, const float* parameters, std::size_t layer, int rows, bool keep,
                           float* workspace, float* y) const {
  const LayerLayout& layout = spec().layers()[layer];
  const Place& place = places_[layer];
  const auto count = static_cast<std::size_t>(rows);
  if (layout.batch_norm) return normalize_batch(stream, parameters, layer, rows, keep, workspace, y);
  layer_norm_forward(stream, {.x = keep ? workspace + count * place.normalized : y,
                              .gain = parameters + layout.norm_gain,
                              .bias = parameters + layout.norm_bias,
                              .y = y,
                              .inverse = keep ? inverse_deviations(workspace, rows, layer) : nullptr,
                              .rows = rows,
                              .size = layout.out,
                              .stride = layout.out_stride,
                              .activation = gemm_activation(layout.activation)});
}

void MlpNetwork::normalize_batch(const Stream& stream, const float* parameters, std::size_t layer, int rows, bool keep,
                                 float* workspace, float* y) const {
  const LayerLayout& layout = spec().layers()[layer];
  if (!keep) {
    return batch_norm_inference(stream, {.x = y,
                                         .gain = parameters + layout.norm_gain,
                                         .bias = parameters + layout.norm_bias,
                                         .mean = parameters + layout.norm_mean,
                                         .variance = parameters + layout.norm_variance,
                                         .rows = rows,
                                         .stride = layout.out_stride,
                                         .activation = gemm_activation(layout.activation)});
  }
  float* const mean = batch_statistics(workspace, rows, layer);
  batch_norm_forward(stream, {.x = workspace + static_cast<std::size_t>(rows) * places_[layer].normalized,
                              .gain = parameters + layout.norm_gain,
                              .bias = parameters + layout.norm_bias,
                              .y = y,
                              .mean = mean,
                              .variance = mean + layout.out_stride,
                              .rows = rows,
                              .stride = layout.out_stride,
                              .activation = gemm_activation(layout.activation)});
}

void MlpNetwork::update_statistics(const Stream& stream, const float* workspace, int rows, float* parameters) const {
  for (std::size_t l = 0; l < places_.size(); ++l) {
    const LayerLayout& layout = spec().layers()[l];
    if (!layout.batch_norm) continue;
    const float* const mean = batch_statistics(const_cast<float*>(workspace), rows, l);
    update_running_statistics(stream, {.batch_mean = mean,
                                       .batch_variance = mean + layout.out_stride,
                                       .mean = parameters + layout.norm_mean,
                                       .variance = parameters + layout.norm_variance,
                                       .rows = rows,
                                       .stride = layout.out_stride});
  }
}

void MlpNetwork::differentiate_norm(const Stream& stream, const float* parameters, std::size_t layer, int rows,
                                    float* workspace, float* dy, float* gradients) const {
  const LayerLayout& layout = spec().layers()[layer];
  const Place& place = places_[layer];
  const auto count = static_cast<std::size_t>(rows);
  if (layout.batch_norm) {
    return batch_norm_backward(stream, {.dy = dy,
                                        .n = workspace + count * place.normalized,
                                        .variance = batch_statistics(workspace, rows, layer) + layout.out_stride,
                                        .gain = parameters + layout.norm_gain,
                                        .d_gain = gradients ? gradients + layout.norm_gain : nullptr,
                                        .d_bias = gradients ? gradients + layout.norm_bias : nullptr,
                                        .rows = rows,
                                        .stride = layout.out_stride});
  }
  layer_norm_backward(stream, {.dy = dy,
                               .n = workspace + count * place.normalized,
                               .inverse = inverse_deviations(workspace, rows, layer),
                               .gain = parameters + layout.norm_gain,
                               .d_gain = gradients ? gradients + layout.norm_gain : nullptr,
                               .d_bias = gradients ? gradients + layout.norm_bias : nullptr,
                               .rows = rows,
                               .size = layout.out,
                               .stride = layout.out_stride,
                               .scratch = gradient_scratch(workspace, rows)});
}

void MlpNetwork::prepare_backward(const Stream& stream, const float* parameters, float* prepared) const {
  for (std::size_t l = 0; l < places_.size(); ++l) {
    if (places_[l].first && spec().one_hot()) continue;
    const LayerLayout& layer = spec().layers()[l];
    transpose_weights(stream, parameters + layer.weight, layer.in, layer.out, layer.out_stride,
                      prepared + places_[l].transposed, padded_row(layer.in));
  }
}

void MlpNetwork::backward(const Stream& stream, const float* parameters, const float* prepared, NetworkInput input,
                          int rows, const float* d_outputs, float* workspace, float* gradients, float* d_inputs) const {
  const std::vector<LayerLayout>& layers = spec().layers();
  const auto count = static_cast<std::size_t>(rows);
  Rows dy{};
  for (std::size_t l = places_.size(); l-- > 0;) {
    const LayerLayout& layer = layers[l];
    const Place& place = places_[l];
    if (place.last) dy = {d_outputs + place.output_column, spec().output_stride()};
    const Rows x = place.first ? Rows{input.features, spec().input_stride()}
                               : Rows{workspace + count * places_[l - 1].kept, layers[l - 1].out_stride};
    const LinearBackwardWeights weights{.x = x.data,
                                        .x_stride = x.stride,
                                        .dy = dy.data,
                                        .dy_stride = dy.stride,
                                        .dw = gradients ? gradients + layer.weight : nullptr,
                                        .db = gradients ? gradients + layer.bias : nullptr,
                                        .rows = rows,
                                        .in = layer.in,
                                        .out_stride = layer.out_stride,
                                        .out = layer.out,
                                        .scratch = gradient_scratch(workspace, rows)};
    if (place.first && spec().one_hot()) {
      if (gradients != nullptr) embedding_backward_weights(stream, weights, input.classes);
      continue;
    }
    if (gradients != nullptr) linear_backward_weights(stream, weights);
    if (place.first && d_inputs == nullptr) continue;
    float* dx = place.first ? d_inputs : workspace + count * (kept_ + (l % 2) * widest_);
    linear_backward_data(
        stream, {.dy = dy.data,
                 .dy_stride = dy.stride,
                 .wt = prepared + place.transposed,
                 .in_stride = padded_row(layer.in),
                 .x = x.data,
                 .x_stride = x.stride,
                 .dx = dx,
                 .dx_stride = x.stride,
                 .rows = rows,
                 .out = layer.out,
                 .activation = place.first ? GemmActivation::kLinear : gemm_activation(layers[l - 1].activation),
                 // Towers before the last one add to what the towers after them left.
                 .accumulate = place.first && l + 1 < layers.size() && layers.back().tower != layer.tower});
    dy = {dx, x.stride};
    if (!place.first && layers[l - 1].normalized()) {
      differentiate_norm(stream, parameters, l - 1, rows, workspace, dx, gradients);
    }
  }
}

void MlpNetwork::forward_tangent(const Stream& stream, const float* parameters, const float* direction,
                                 NetworkInput input, int rows, float* workspace, float* tangents) const {
  if (statistics_ > 0) throw RuntimeError("batch normalisation has no forward-mode derivative here; use layer_norm");
  const auto count = static_cast<std::size_t>(rows);
  Rows x{}, dx{};
  for (std::size_t l = 0; l < places_.size(); ++l) {
    const LayerLayout& layer = spec().layers()[l];
    const Place& place = places_[l];
    if (place.first) {
      x = {input.features, spec().input_stride()};
      dx = {nullptr, 0};
    }
    const Rows y = place.last ? Rows{nullptr, 0} : Rows{workspace + count * place.kept, layer.out_stride};
    float* hidden = workspace + count * (kept_ + (l % 2) * widest_);
    const LinearTangent op{
        .x = x.data,
        .x_stride = x.stride,
        .dx = dx.data,
        .dx_stride = dx.stride,
        .w = parameters + layer.weight,
        .dw = direction + layer.weight,
        .db = direction + layer.bias,
        .y = y.data,
        .y_stride = y.stride,
        .dy = place.last ? tangents + place.output_column : hidden,
        .dy_stride = place.last ? spec().output_stride() : layer.out_stride,
        .rows = rows,
        .in = layer.in,
        .out_stride = layer.out_stride,
        .activation = layer.layer_norm ? GemmActivation::kLinear : gemm_activation(layer.activation)};
    if (place.first && spec().one_hot()) {
      embedding_tangent(stream, op, input.classes);
    } else {
      linear_tangent(stream, op);
    }
    if (layer.layer_norm) move_norm(stream, parameters, direction, l, rows, workspace, op.dy);
    x = y;
    dx = {op.dy, op.dy_stride};
  }
}

void MlpNetwork::move_norm(const Stream& stream, const float* parameters, const float* direction, std::size_t layer,
                           int rows, float* workspace, float* dx) const {
  const LayerLayout& layout = spec().layers()[layer];
  const Place& place = places_[layer];
  const auto count = static_cast<std::size_t>(rows);
  layer_norm_tangent(stream, {.dx = dx,
                              .n = workspace + count * place.normalized,
                              .inverse = inverse_deviations(workspace, rows, layer),
                              .gain = parameters + layout.norm_gain,
                              .d_gain = direction + layout.norm_gain,
                              .d_bias = direction + layout.norm_bias,
                              .y = workspace + count * place.kept,
                              .rows = rows,
                              .size = layout.out,
                              .stride = layout.out_stride,
                              .activation = gemm_activation(layout.activation)});
}

}  // namespace stampede
