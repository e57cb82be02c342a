// SPDX-License-Identifier: Apache-2.0
#include "kernels/layer_norm.h"

#include <cstddef>

#include "kernels/activation_cpu.h"
#include "kernels/simd.h"
#ifdef STAMPEDE_WITH_CUDA
#include "kernels/layer_norm_cuda.h"
#endif

namespace stampede {
namespace {

constexpr int kVectorsOfPadding = kRowPadding / Vector::kLanes;

// A factor of the mean in a row's last sixteen columns: ones below `size`, zeros for padding.
struct PaddingMask {
  alignas(64) float value[kRowPadding];

  PaddingMask(int size, int stride) {
    for (int k = 0; k < kRowPadding; ++k) value[k] = stride - kRowPadding + k < size ? 1.0f : 0.0f;
  }
  Vector operator[](int j) const { return Vector::load(value + j * Vector::kLanes); }
};

struct LaneSum {
  Vector partial[kVectorsOfPadding];

  LaneSum() {
    for (Vector& vector : partial) vector = Vector(0.0f);
  }
  float total() const { return sum_lanes(partial); }
};

// work(column, j, last): each vector of a row, j counting within sixteen columns.
template <class Work>
void for_each_vector(int stride, const Work& work) {
  for (int o = 0; o < stride - kRowPadding; o += kRowPadding) {
    for (int j = 0; j < kVectorsOfPadding; ++j) work(o + j * Vector::kLanes, j, false);
  }
  for (int j = 0; j < kVectorsOfPadding; ++j) work(stride - kRowPadding + j * Vector::kLanes, j, true);
}

template <GemmActivation kActivation>
void cpu_forward(const LayerNormForward& op) {
  const PaddingMask mask(op.size, op.stride);
  const float share = 1.0f / static_cast<float>(op.size);
  for (int r = 0; r < op.rows; ++r) {
    float* const x = op.x + static_cast<std::ptrdiff_t>(r) * op.stride;
    float* const y = op.y + static_cast<std::ptrdiff_t>(r) * op.stride;
    LaneSum sum, squares;
    // Padding of x is zero, so its sum needs no mask; its deviation from the mean does.
    for_each_vector(op.stride, [&](int o, int j, bool) { sum.partial[j] = sum.partial[j] + Vector::load(x + o); });
    const Vector mean(sum.total() * share);
    for_each_vector(op.stride, [&](int o, int j, bool last) {
      const Vector d = Vector::load(x + o) - (last ? mean * mask[j] : mean);
      squares.partial[j] = fused(d, d, squares.partial[j]);
    });
    const float inverse = 1.0f / square_root(fused(squares.total(), share, kLayerNormEpsilon));
    if (op.inverse) op.inverse[r] = inverse;
    const Vector scale(inverse);
    for_each_vector(op.stride, [&](int o, int j, bool last) {
      const Vector n = (Vector::load(x + o) - (last ? mean * mask[j] : mean)) * scale;
      if (op.inverse) n.store(x + o);
      activate<kActivation>(fused(n, Vector::load(op.gain + o), Vector::load(op.bias + o))).store(y + o);
    });
  }
}

// d_gain and d_bias of one row.
void add_row(const LayerNormBackward& op, const float* dy, const float* n) {
  for (int o = 0; o < op.stride; o += Vector::kLanes) {
    const Vector gradient = Vector::load(dy + o);
    fused(gradient, Vector::load(n + o), Vector::load(op.d_gain + o)).store(op.d_gain + o);
    (Vector::load(op.d_bias + o) + gradient).store(op.d_bias + o);
  }
}

void cpu_backward(const LayerNormBackward& op) {
  const PaddingMask mask(op.size, op.stride);
  const float share = 1.0f / static_cast<float>(op.size);
  for (int r = 0; r < op.rows; ++r) {
    float* const dy = op.dy + static_cast<std::ptrdiff_t>(r) * op.stride;
    const float* const n = op.n + static_cast<std::ptrdiff_t>(r) * op.stride;
    if (op.d_gain) add_row(op, dy, n);
    LaneSum sum, product;
    for_each_vector(op.stride, [&](int o, int j, bool) {
      const Vector d = Vector::load(dy + o) * Vector::load(op.gain + o);
      sum.partial[j] = sum.partial[j] + d;
      product.partial[j] = fused(d, Vector::load(n + o), product.partial[j]);
    });
    const Vector mean(sum.total() * share), slope(-(product.total() * share)), inverse(op.inverse[r]);
    for_each_vector(op.stride, [&](int o, int j, bool last) {
      const Vector d = Vector::load(dy + o) * Vector::load(op.gain + o) - (last ? mean * mask[j] : mean);
      (fused(slope, Vector::load(n + o), d) * inverse).store(dy + o);
    });
  }
}

template <GemmActivation kActivation>
void cpu_tangent(const LayerNormTangent& op) {
  const PaddingMask mask(op.size, op.stride);
  const float share = 1.0f / static_cast<float>(op.size);
  for (int r = 0; r < op.rows; ++r) {
    const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(r) * op.stride;
    float* const dx = op.dx + begin;
    const float* const n = op.n + begin;
    const float* const y = op.y + begin;
    LaneSum sum, product;
    for_each_vector(op.stride, [&](int o, int j, bool) {
      const Vector d = Vector::load(dx + o);
      sum.partial[j] = sum.partial[j] + d;
      product.partial[j] = fused(d, Vector::load(n + o), product.partial[j]);
    });
    const Vector mean(sum.total() * share), slope(-(product.total() * share)), inverse(op.inverse[r]);
    for_each_vector(op.stride, [&](int o, int j, bool last) {
      const Vector value = Vector::load(n + o);
      const Vector dn = fused(slope, value, Vector::load(dx + o) - (last ? mean * mask[j] : mean)) * inverse;
      const Vector offset = fused(Vector::load(op.d_gain + o), value, Vector::load(op.d_bias + o));
      const Vector moved = fused(Vector::load(op.gain + o), dn, offset);
      differentiate<kActivation>(Vector::load(y + o), moved).store(dx + o);
    });
  }
}

// work<activation>() for the activation that a call names.
template <class Work>
void with_activation(GemmActivation activation, const Work& work) {
  switch (activation) {
    case GemmActivation::kLinear:
      return work.template operator()<GemmActivation::kLinear>();
    case GemmActivation::kTanh:
      return work.template operator()<GemmActivation::kTanh>();
    case GemmActivation::kRelu:
      return work.template operator()<GemmActivation::kRelu>();
  }
}

}  // namespace

void layer_norm_forward([[maybe_unused]] const Stream& stream, const LayerNormForward& op) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_layer_norm_forward(stream, op);
#endif
  with_activation(op.activation, [&]<GemmActivation kActivation>() { cpu_forward<kActivation>(op); });
}

void layer_norm_backward([[maybe_unused]] const Stream& stream, const LayerNormBackward& op) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_layer_norm_backward(stream, op);
#endif
  cpu_backward(op);
}

void layer_norm_tangent([[maybe_unused]] const Stream& stream, const LayerNormTangent& op) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_layer_norm_tangent(stream, op);
#endif
  with_activation(op.activation, [&]<GemmActivation kActivation>() { cpu_tangent<kActivation>(op); });
}

}  // namespace stampede
