// SPDX-License-Identifier: Apache-2.0
// Layer and batch normalisation of MlpNetwork's hidden layers.
#include "agents/networks/gemm_activation.h"
#include "agents/networks/mlp_network.h"
#include "kernels/batch_norm.h"
#include "kernels/layer_norm.h"

namespace stampede {

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
