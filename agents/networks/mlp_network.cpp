// SPDX-License-Identifier: Apache-2.0
#include "agents/networks/mlp_network.h"

#include <algorithm>
#include <utility>

#include "agents/networks/gemm_activation.h"
#include "kernels/columns.h"
#include "kernels/error.h"
#include "kernels/gemm.h"
#include "kernels/layer_products.h"

namespace stampede {
namespace {

// Rows of a transposed matrix are padded like its outputs.
int padded_row(int size) { return (size + 15) / 16 * 16; }

// Row-major activations or their gradients.
struct Rows {
  const float* data;
  int stride;
};

// Whether the second half of the layers is a tower like the first half.
bool has_towers_alike(const NetworkSpec& spec) {
  const std::vector<LayerLayout>& layers = spec.layers();
  const std::size_t depth = layers.size() / 2;
  if (spec.tower_count() != 2 || spec.one_hot() || spec.features().size > 0) return false;
  if (layers.size() != 2 * depth || layers[depth - 1].tower == layers[depth].tower) return false;
  for (std::size_t l = 0; l < depth; ++l) {
    const LayerLayout &own = layers[l], &other = layers[depth + l];
    if (own.out_stride != other.out_stride || own.normalized() || other.normalized()) return false;
  }
  return true;
}

}  // namespace

MlpNetwork::MlpNetwork(NetworkSpec spec, std::shared_ptr<const CublasProducts> products)
    : Network(std::move(spec)), products_(std::move(products)) {
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
    // A library sums over rows by itself; class inputs and normalisations remain.
    const bool own_product = !products_ || (place.first && this->spec().one_hot());
    const std::size_t summed_rows = own_product ? static_cast<std::size_t>(layer.in) + 1 : layer.normalized() ? 2 : 0;
    largest_gradient_ = std::max(largest_gradient_, summed_rows * stride);
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
      if (products_) {
        place.mask = masks_;
        masks_ += static_cast<std::size_t>(CublasProducts::mask_stride(layer.out_stride));
      }
      widest_ = std::max(widest_, stride);
    }
    places_.push_back(place);
  }
  alike_ = !products_ && has_towers_alike(this->spec());
  if (alike_) passing_ = 4;
}

int MlpNetwork::preferred_rows(const Stream& stream) const {
  // Measured: 64 to 192 rows are equally fast for widths of 64 and 256, both ends outside are slower.
  return stream.is_cuda() || statistics_ > 0 ? 0 : 128;
}

std::size_t MlpNetwork::native_size(int rows, bool with_gradient) const {
  return static_cast<std::size_t>(rows) * (passing_ * widest_ + (with_gradient ? kept_ + norms_ : 0)) +
         (with_gradient ? statistics_ + gradient_scratch_size(rows) : 0);
}

// Behind everything else, from a multiple of 16 floats on.
std::size_t MlpNetwork::gradient_scratch_size(int rows) const {
  const int parts = gradient_parts(rows);
  return parts == 1 ? 0 : static_cast<std::size_t>(parts) * largest_gradient_ + 16;
}

float* MlpNetwork::gradient_scratch(float* workspace, int rows) const {
  if (gradient_parts(rows) == 1) return nullptr;
  const std::size_t used = static_cast<std::size_t>(rows) * (passing_ * widest_ + kept_ + norms_) + statistics_;
  return workspace + (used + 15) / 16 * 16;
}

std::size_t MlpNetwork::mask_offset(int rows, bool with_gradient) const {
  return (native_size(rows, with_gradient) + 15) / 16 * 16;
}

std::size_t MlpNetwork::scratch_offset(int rows, bool with_gradient) const {
  return mask_offset(rows, with_gradient) + (with_gradient ? static_cast<std::size_t>(rows) * masks_ : 0);
}

std::size_t MlpNetwork::workspace_size(int rows, bool with_gradient) const {
  if (!products_) return native_size(rows, with_gradient);
  plan(rows, with_gradient);
  int widest = 0;
  for (const LayerLayout& layer : spec().layers()) widest = std::max(widest, layer.out_stride);
  return scratch_offset(rows, with_gradient) + CublasProducts::scratch_size(rows, widest);
}

LinearForward MlpNetwork::forward_shape(std::size_t layer, int rows) const {
  const LayerLayout& layout = spec().layers()[layer];
  const Place& place = places_[layer];
  return {.x = nullptr,
          .x_stride = place.first ? spec().input_stride() : spec().layers()[layer - 1].out_stride,
          .w = nullptr,
          .b = nullptr,
          .y = nullptr,
          .y_stride = place.last ? spec().output_stride() : layout.out_stride,
          .rows = rows,
          .in = layout.in,
          .out_stride = layout.out_stride,
          .activation = layout.normalized() ? GemmActivation::kLinear : gemm_activation(layout.activation),
          .out = layout.out};
}

LinearBackwardWeights MlpNetwork::weights_shape(std::size_t layer, int rows) const {
  const LinearForward forward = forward_shape(layer, rows);
  return {.x = nullptr,
          .x_stride = forward.x_stride,
          .dy = nullptr,
          .dy_stride = forward.y_stride,
          .dw = nullptr,
          .db = nullptr,
          .rows = rows,
          .in = forward.in,
          .out_stride = forward.out_stride,
          .out = spec().layers()[layer].out};
}

LinearBackwardData MlpNetwork::data_shape(std::size_t layer, int rows) const {
  const std::vector<LayerLayout>& layers = spec().layers();
  const LinearForward forward = forward_shape(layer, rows);
  const bool first = places_[layer].first;
  return {.dy = nullptr,
          .dy_stride = forward.y_stride,
          .wt = nullptr,
          .in_stride = padded_row(forward.in),
          .x = nullptr,
          .x_stride = forward.x_stride,
          .dx = nullptr,
          .dx_stride = forward.x_stride,
          .rows = rows,
          .out = layers[layer].out,
          .activation = first ? GemmActivation::kLinear : gemm_activation(layers[layer - 1].activation),
          // Towers before the last one add to what the towers after them left.
          .accumulate = first && layer + 1 < layers.size() && layers.back().tower != layers[layer].tower};
}

ColumnRange MlpNetwork::feature_columns(std::size_t layer, int rows) const {
  const int stride = spec().layers()[layer].out_stride;
  return {.rows = rows, .columns = stride, .hidden_stride = stride, .output_stride = spec().output_stride()};
}

void MlpNetwork::plan(int rows, bool with_gradient) const {
  for (std::size_t l = 0; l < places_.size(); ++l) {
    if (places_[l].first && spec().one_hot()) continue;
    const auto mask_of = [&](std::size_t layer) {
      return ReluMask{nullptr,
                      has_mask(layer, rows) ? CublasProducts::mask_stride(spec().layers()[layer].out_stride) : 0};
    };
    products_->plan(forward_shape(l, rows), with_gradient ? mask_of(l) : ReluMask{});
    if (!with_gradient) continue;
    products_->plan(weights_shape(l, rows));
    products_->plan(data_shape(l, rows), {places_[l].first ? ReluMask{} : mask_of(l - 1), nullptr, plain_stride(l)});
  }
}

bool MlpNetwork::has_mask(std::size_t layer, int rows) const {
  const LayerLayout& layout = spec().layers()[layer];
  const bool embedded = places_[layer].first && spec().one_hot();
  if (places_[layer].last || embedded || layout.normalized() || layout.activation != Activation::kRelu) return false;
  return products_->has_mask(forward_shape(layer, rows), data_shape(layer + 1, rows), plain_stride(layer + 1));
}

int MlpNetwork::plain_stride(std::size_t layer) const {
  const LayerLayout& layout = spec().layers()[layer];
  return layout.in % 16 == 0 ? layout.out_stride : 0;
}

ReluMask MlpNetwork::mask(std::size_t layer, int rows, float* workspace) const {
  if (!has_mask(layer, rows)) return {};
  float* const bits = workspace + mask_offset(rows, true) + static_cast<std::size_t>(rows) * places_[layer].mask;
  return {reinterpret_cast<std::uint32_t*>(bits), CublasProducts::mask_stride(spec().layers()[layer].out_stride)};
}

void MlpNetwork::forward(const Stream& stream, const float* parameters, NetworkInput input, int rows, bool keep,
                         float* workspace, float* outputs) const {
  if (together(stream)) return forward_together(stream, parameters, input, rows, keep, workspace, outputs);
  run_layers(stream, parameters, input, {rows, keep, 0, places_.size()}, workspace, outputs);
}

void MlpNetwork::forward_tower(const Stream& stream, const float* parameters, NetworkInput input, int rows, int tower,
                               float* workspace, float* outputs) const {
  const std::vector<LayerLayout>& layers = spec().layers();
  std::size_t begin = 0;
  while (layers[begin].tower != tower) ++begin;
  std::size_t end = begin;
  while (end < layers.size() && layers[end].tower == tower) ++end;
  run_layers(stream, parameters, input, {rows, false, begin, end}, workspace, outputs);
}

void MlpNetwork::run_layers(const Stream& stream, const float* parameters, NetworkInput input, const Pass& pass,
                            float* workspace, float* outputs) const {
  const int rows = pass.rows;
  const bool keep = pass.keep;
  const auto count = static_cast<std::size_t>(rows);
  const bool by_library = products_ && products_->serves(stream);
  const float* x = nullptr;
  for (std::size_t l = pass.begin; l < pass.end; ++l) {
    const LayerLayout& layer = spec().layers()[l];
    const Place& place = places_[l];
    float* const hidden = workspace + count * (keep ? place.kept : (l % 2) * widest_);
    float* const y = place.last ? outputs + place.output_column : hidden;
    LinearForward op = forward_shape(l, rows);
    op.x = place.first ? input.features : x;
    op.w = parameters + layer.weight;
    op.b = parameters + layer.bias;
    op.y = keep && layer.normalized() ? workspace + count * place.normalized : y;
    if (place.first && spec().one_hot()) {
      embedding_forward(stream, op, input.classes);
    } else if (by_library) {
      float* const scratch = workspace + scratch_offset(rows, keep);
      products_->forward(stream, op, keep ? mask(l, rows, workspace) : ReluMask{}, scratch);
    } else {
      linear_forward(stream, op);
    }
    if (layer.normalized()) normalize(stream, parameters, l, rows, keep, workspace, y);
    if (shows_features(l)) copy_columns(stream, feature_columns(l, rows), y, outputs + spec().features().column);
    x = y;
  }
}

void MlpNetwork::prepare_backward(const Stream& stream, const float* parameters, float* prepared) const {
  constexpr std::size_t kMost = 8;  // at a time
  const bool by_library = products_ && products_->serves(stream);
  WeightTranspose transposes[kMost];
  std::size_t count = 0;
  for (std::size_t l = 0; l < places_.size(); ++l) {
    if (places_[l].first && spec().one_hot()) continue;
    if (by_library && plain_stride(l) > 0) continue;
    const LayerLayout& layer = spec().layers()[l];
    transposes[count++] = {
        parameters + layer.weight, layer.in, layer.out, layer.out_stride, prepared + places_[l].transposed,
        padded_row(layer.in)};
    if (count < kMost) continue;
    transpose_weights(stream, transposes);
    count = 0;
  }
  transpose_weights(stream, std::span(transposes, count));
}

void MlpNetwork::backward(const Stream& stream, const float* parameters, const float* prepared, NetworkInput input,
                          int rows, const float* d_outputs, float* workspace, float* gradients, float* d_inputs) const {
  if (together(stream)) {
    return backward_together(stream, prepared, input, rows, d_outputs, workspace, gradients, d_inputs);
  }
  const std::vector<LayerLayout>& layers = spec().layers();
  const auto count = static_cast<std::size_t>(rows);
  const bool by_library = products_ && products_->serves(stream);
  float* const scratch = by_library ? workspace + scratch_offset(rows, true) : nullptr;
  const float* dy = nullptr;
  for (std::size_t l = places_.size(); l-- > 0;) {
    const Place& place = places_[l];
    if (place.last) dy = d_outputs + place.output_column;
    LinearBackwardWeights weights = weights_shape(l, rows);
    weights.x = place.first ? input.features : workspace + count * places_[l - 1].kept;
    weights.dy = dy;
    weights.dw = gradients ? gradients + layers[l].weight : nullptr;
    weights.db = gradients ? gradients + layers[l].bias : nullptr;
    weights.scratch = gradient_scratch(workspace, rows);
    if (place.first && spec().one_hot()) {
      if (gradients != nullptr) embedding_backward_weights(stream, weights, input.classes);
      continue;
    }
    const std::span<const LinearBackwardWeights> own(&weights, gradients != nullptr && !by_library ? 1 : 0);
    if (gradients != nullptr && by_library) products_->backward_weights(stream, weights, scratch);
    if (place.first && d_inputs == nullptr) {
      linear_backward(stream, own, {});
      continue;
    }
    LinearBackwardData data = data_shape(l, rows);
    data.dy = dy;
    data.wt = prepared + place.transposed;
    data.x = weights.x;
    data.dx = place.first ? d_inputs : workspace + count * (kept_ + (l % 2) * widest_);
    if (by_library) {
      const ReluMask bits = place.first ? ReluMask{} : mask(l - 1, rows, workspace);
      products_->backward_data(stream, data, {bits, parameters + layers[l].weight, plain_stride(l)}, scratch);
    } else {
      linear_backward(stream, own, std::span(&data, 1));
    }
    if (!place.first && shows_features(l - 1)) {
      add_through_activation(stream, feature_columns(l - 1, rows), gemm_activation(layers[l - 1].activation),
                             d_outputs + spec().features().column, data.x, data.dx);
    }
    dy = data.dx;
    if (!place.first && layers[l - 1].normalized()) {
      differentiate_norm(stream, parameters, l - 1, rows, workspace, data.dx, gradients);
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
    if (shows_features(l)) copy_columns(stream, feature_columns(l, rows), op.dy, tangents + spec().features().column);
    x = y;
    dx = {op.dy, op.dy_stride};
  }
}

}  // namespace stampede
