// SPDX-License-Identifier: Apache-2.0
// Batch normalisation by blocks of CUDA threads: sixteen columns a block, sixteen threads a column.
#pragma once

#include "kernels/batch_norm.h"
#include "kernels/gemm_blocks.h"
#include "kernels/math.h"

namespace stampede {

// The shape of a sum over rows: part p takes rows p, p + 16, p + 32, ... in ascending order; then part p takes part
// p + 8, p + 4, p + 2, p + 1.
inline constexpr int kBatchNormParts = 16;
inline constexpr int kBatchNormColumns = 16;

HD float inverse_deviation(float variance) { return 1.0f / square_root(variance + kBatchNormEpsilon); }

// The running statistics are given: every element by itself.
struct BatchInferenceElement {
  BatchNormInference op;

  HD void operator()(int i) const {
    const int c = i % op.stride;
    const float n = (op.x[i] - op.mean[c]) * inverse_deviation(op.variance[c]);
    op.x[i] = activate(fused(n, op.gain[c], op.bias[c]), op.activation);
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
inline constexpr unsigned kBatchNormThreads = kBatchNormParts * kBatchNormColumns;

// What a thread works on: a column, and of its rows those of one part.
struct BatchNormPlace {
  int column, part;

  DEVICE BatchNormPlace()
      : column(static_cast<int>(blockIdx.x) * kBatchNormColumns + static_cast<int>(threadIdx.x) % kBatchNormColumns),
        part(static_cast<int>(threadIdx.x) / kBatchNormColumns) {}

  // The sum of a column's parts, for all of its threads. Every thread must call it.
  DEVICE float sum_parts(float own) const {
    SHARED_ARRAY(float, parts, kBatchNormThreads);
    const auto thread = static_cast<int>(threadIdx.x);
    __syncthreads();  // sums before this one have been read
    parts[thread] = own;
    for (int half = kBatchNormParts / 2; half > 0; half /= 2) {
      __syncthreads();
      if (part < half) parts[thread] += parts[thread + half * kBatchNormColumns];
    }
    __syncthreads();
    return parts[thread % kBatchNormColumns];
  }
};

struct BatchForwardKernel {
  BatchNormForward op;

  DEVICE void operator()() const {
    const BatchNormPlace place;
    const float share = 1.0f / static_cast<float>(op.rows);
    float mean = 0.0f, variance = 0.0f;
    for (int r = place.part; r < op.rows; r += kBatchNormParts) mean += op.x[index(r, place)];
    mean = place.sum_parts(mean) * share;
    for (int r = place.part; r < op.rows; r += kBatchNormParts) {
      const float apart = op.x[index(r, place)] - mean;
      variance = fused(apart, apart, variance);
    }
    variance = place.sum_parts(variance) * share;
    const float inverse = inverse_deviation(variance), gain = op.gain[place.column], bias = op.bias[place.column];
    if (place.part == 0) {
      op.mean[place.column] = mean;
      op.variance[place.column] = variance;
    }
    for (int r = place.part; r < op.rows; r += kBatchNormParts) {
      const std::ptrdiff_t i = index(r, place);
      const float n = (op.x[i] - mean) * inverse;
      op.x[i] = n;
      op.y[i] = activate(fused(n, gain, bias), op.activation);
    }
  }

  DEVICE std::ptrdiff_t index(int r, const BatchNormPlace& place) const {
    return static_cast<std::ptrdiff_t>(r) * op.stride + place.column;
  }
};

struct BatchBackwardKernel {
  BatchNormBackward op;

  DEVICE void operator()() const {
    const BatchNormPlace place;
    const float share = 1.0f / static_cast<float>(op.rows);
    float sum = 0.0f, product = 0.0f;
    for (int r = place.part; r < op.rows; r += kBatchNormParts) {
      const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(r) * op.stride + place.column;
      sum += op.dy[i];
      product = fused(op.dy[i], op.n[i], product);
    }
    sum = place.sum_parts(sum);
    product = place.sum_parts(product);
    if (place.part == 0 && op.d_gain != nullptr) {
      op.d_gain[place.column] += product;
      op.d_bias[place.column] += sum;
    }
    sum *= share;
    product *= share;
    const float scale = op.gain[place.column] * inverse_deviation(op.variance[place.column]);
    for (int r = place.part; r < op.rows; r += kBatchNormParts) {
      const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(r) * op.stride + place.column;
      op.dy[i] = scale * fused(-product, op.n[i], op.dy[i] - sum);
    }
  }
};
#endif

}  // namespace stampede
