// SPDX-License-Identifier: Apache-2.0
// The passes of two towers at once, for streams that wait for every launch.
#include <cstddef>

#include "agents/networks/mlp_network.h"
#include "kernels/layer_products.h"

namespace stampede {

void MlpNetwork::forward_together(const Stream& stream, const float* parameters, NetworkInput input, int rows,
                                  bool keep, float* workspace, float* outputs) const {
  const auto count = static_cast<std::size_t>(rows);
  const std::size_t depth = places_.size() / 2;
  const float* x[2] = {input.features, input.features};
  for (std::size_t level = 0; level < depth; ++level) {
    LinearForward ops[2];
    for (std::size_t tower = 0; tower < 2; ++tower) {
      const std::size_t l = tower * depth + level;
      const LayerLayout& layer = spec().layers()[l];
      float* const hidden = workspace + count * (keep ? places_[l].kept : (2 * tower + level % 2) * widest_);
      LinearForward& op = ops[tower];
      op = forward_shape(l, rows);
      op.x = x[tower];
      op.w = parameters + layer.weight;
      op.b = parameters + layer.bias;
      op.y = places_[l].last ? outputs + places_[l].output_column : hidden;
      x[tower] = op.y;
    }
    linear_forward(stream, ops);
  }
}

void MlpNetwork::backward_together(const Stream& stream, const float* prepared, NetworkInput input, int rows,
                                   const float* d_outputs, float* workspace, float* gradients, float* d_inputs) const {
  const auto count = static_cast<std::size_t>(rows);
  const std::size_t depth = places_.size() / 2;
  const float* dy[2] = {d_outputs + places_[depth - 1].output_column, d_outputs + places_.back().output_column};
  for (std::size_t level = depth; level-- > 0;) {
    LinearBackwardWeights weights[2];
    LinearBackwardData data[2];
    for (std::size_t tower = 0; tower < 2; ++tower) {
      const std::size_t l = tower * depth + level;
      const LayerLayout& layer = spec().layers()[l];
      weights[tower] = weights_shape(l, rows);
      weights[tower].x = level == 0 ? input.features : workspace + count * places_[l - 1].kept;
      weights[tower].dy = dy[tower];
      weights[tower].dw = gradients ? gradients + layer.weight : nullptr;
      weights[tower].db = gradients ? gradients + layer.bias : nullptr;
      weights[tower].scratch = gradient_scratch(workspace, rows);
      data[tower] = data_shape(l, rows);
      data[tower].dy = dy[tower];
      data[tower].wt = prepared + places_[l].transposed;
      data[tower].x = weights[tower].x;
      data[tower].dx = level == 0 ? d_inputs : workspace + count * (kept_ + (2 * tower + level % 2) * widest_);
      dy[tower] = data[tower].dx;
    }
    const std::span<const LinearBackwardWeights> own(weights, gradients ? 2 : 0);
    if (level > 0) {
      linear_backward(stream, own, data);
    } else if (d_inputs == nullptr) {
      linear_backward(stream, own, {});
    } else {  // the first tower adds to what the second one leaves
      linear_backward(stream, own, std::span(data + 1, 1));
      linear_backward(stream, {}, std::span(data, 1));
    }
  }
}

}  // namespace stampede
