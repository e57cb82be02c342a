// SPDX-License-Identifier: Apache-2.0
// Layer normalisation as CUDA kernels: sixteen threads per row, with the bits of the CPU version.
#pragma once

#include <cstddef>

#include "kernels/block.h"
#include "kernels/gemm_blocks.h"
#include "kernels/layer_norm.h"

namespace stampede {

inline constexpr unsigned kLayerNormThreads = 128;
inline constexpr unsigned kLayerNormLanes = 16;  // of a row: half a warp
inline constexpr unsigned kLayerNormRows = kLayerNormThreads / kLayerNormLanes;

inline unsigned layer_norm_blocks(int rows) {
  return (static_cast<unsigned>(rows) + kLayerNormRows - 1) / kLayerNormRows;
}

// One column of the gain's and the bias' gradient, or of one of several parts of them.
struct LayerNormColumn {
  LayerNormBackward op;
  int parts = 1;

  HD void operator()(int index) const {
    const int column = index % op.stride, p = index / op.stride;
    const RowPart part(op.rows, parts, p);
    float* const d_gain = parts > 1 ? op.scratch + static_cast<std::ptrdiff_t>(2 * p) * op.stride : op.d_gain;
    float* const d_bias = parts > 1 ? d_gain + op.stride : op.d_bias;
    float gain = parts > 1 ? 0.0f : d_gain[column], bias = parts > 1 ? 0.0f : d_bias[column];
    std::size_t i =
        static_cast<std::size_t>(part.begin) * static_cast<std::size_t>(op.stride) + static_cast<std::size_t>(column);
#ifdef __CUDA_ARCH__
#pragma unroll 8
#endif
    for (int r = part.begin; r < part.end; ++r, i += static_cast<std::size_t>(op.stride)) {
      gain = fused(op.dy[i], op.n[i], gain);
      bias += op.dy[i];
    }
    d_gain[column] = gain;
    d_bias[column] = bias;
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// The row that a half-warp works on, and how many of its `size` elements it reads. Halves beyond the last row read
// nothing of it, for another warp may be writing there, but take part in the exchanges, as every lane of a warp must.
struct LayerNormLanes {
  unsigned lane, size;
  std::size_t row;
  bool has_row;

  DEVICE LayerNormLanes(int rows, int row_size) {
    lane = threadIdx.x % kLayerNormLanes;
    const unsigned wanted = blockIdx.x * kLayerNormRows + threadIdx.x / kLayerNormLanes;
    has_row = wanted < static_cast<unsigned>(rows);
    row = has_row ? wanted : 0;
    size = has_row ? static_cast<unsigned>(row_size) : 0;
  }
};

// The sum of the sixteen lanes' values, in every lane.
DEVICE float sum_of_lanes(float value) {
  for (unsigned half = kLayerNormLanes / 2; half > 0; half /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, half, kLayerNormLanes);
  }
  return __shfl_sync(0xffffffffu, value, 0, kLayerNormLanes);
}

struct LayerNormForwardKernel {
  LayerNormForward op;

  DEVICE void operator()() const {
    const LayerNormLanes at(op.rows, op.size);
    float* const x = op.x + at.row * static_cast<std::size_t>(op.stride);
    float* const y = op.y + at.row * static_cast<std::size_t>(op.stride);
    const float share = 1.0f / static_cast<float>(op.size);
    const unsigned size = at.size, stride = static_cast<unsigned>(op.stride);
    float sum = 0.0f, squares = 0.0f;
    for (unsigned o = at.lane; o < size; o += kLayerNormLanes) sum += x[o];
    const float mean = sum_of_lanes(sum) * share;
    for (unsigned o = at.lane; o < size; o += kLayerNormLanes) squares = fused(x[o] - mean, x[o] - mean, squares);
    const float inverse = 1.0f / square_root(fused(sum_of_lanes(squares), share, kLayerNormEpsilon));
    if (!at.has_row) return;
    for (unsigned o = at.lane; o < stride; o += kLayerNormLanes) {
      const float n = o < size ? (x[o] - mean) * inverse : 0.0f;
      if (op.inverse) x[o] = n;
      y[o] = activate(fused(n, op.gain[o], op.bias[o]), op.activation);
    }
    if (op.inverse && at.lane == 0) op.inverse[at.row] = inverse;
  }
};

struct LayerNormBackwardKernel {
  LayerNormBackward op;

  DEVICE void operator()() const {
    const LayerNormLanes at(op.rows, op.size);
    float* const dy = op.dy + at.row * static_cast<std::size_t>(op.stride);
    const float* const n = op.n + at.row * static_cast<std::size_t>(op.stride);
    const float share = 1.0f / static_cast<float>(op.size);
    const unsigned size = at.size, stride = static_cast<unsigned>(op.stride);
    float sum = 0.0f, product = 0.0f;
    for (unsigned o = at.lane; o < size; o += kLayerNormLanes) {
      const float d = dy[o] * op.gain[o];
      sum += d;
      product = fused(d, n[o], product);
    }
    const float mean = sum_of_lanes(sum) * share;
    const float slope = sum_of_lanes(product) * share;
    const float inverse = op.inverse[at.row];
    if (!at.has_row) return;
    for (unsigned o = at.lane; o < stride; o += kLayerNormLanes) {
      dy[o] = o < size ? fused(-slope, n[o], dy[o] * op.gain[o] - mean) * inverse : 0.0f;
    }
  }
};

struct LayerNormTangentKernel {
  LayerNormTangent op;

  DEVICE void operator()() const {
    const LayerNormLanes at(op.rows, op.size);
    const std::size_t begin = at.row * static_cast<std::size_t>(op.stride);
    float* const dx = op.dx + begin;
    const float* const n = op.n + begin;
    const float share = 1.0f / static_cast<float>(op.size);
    const unsigned size = at.size;
    float sum = 0.0f, product = 0.0f;
    for (unsigned o = at.lane; o < size; o += kLayerNormLanes) {
      sum += dx[o];
      product = fused(dx[o], n[o], product);
    }
    const float mean = sum_of_lanes(sum) * share;
    const float slope = sum_of_lanes(product) * share;
    const float inverse = op.inverse[at.row];
    if (!at.has_row) return;
    for (unsigned o = at.lane; o < size; o += kLayerNormLanes) {
      const float dn = fused(-slope, n[o], dx[o] - mean) * inverse;
      const float moved = fused(op.gain[o], dn, fused(op.d_gain[o], n[o], op.d_bias[o]));
      dx[o] = differentiate(op.y[begin + o], moved, op.activation);
    }
  }
};
#endif

}  // namespace stampede
