// SPDX-License-Identifier: Apache-2.0
// The matrix products of a linear layer, its gradient and its tangent, with activations fused, on CPU tiles and on
// CUDA.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace stampede {

enum class GemmActivation : std::uint8_t { kLinear, kTanh, kRelu };

// All matrices are row-major, 64-byte aligned, their strides multiples of 16 floats. Every sum runs over its index in
// ascending order in one accumulator of fused multiply-adds, so a result never depends on rows, tiles or threads. A CPU
// stream computes on the calling thread: callers run tiles of rows in parallel.

// y[r, o] = activation(b[o] + sum_k x[r, k] w[k, o])
struct LinearForward {
  const float* x;  // [rows, x_stride]
  int x_stride;
  const float* w;  // [in, out_stride]
  const float* b;  // [out_stride]
  float* y;        // [rows, y_stride]; columns [0, out_stride) are written
  int y_stride;
  int rows, in, out_stride;
  GemmActivation activation;
  int out = 0;  // as for LinearBackwardWeights; w and b are zero beyond
};
void linear_forward(const Stream& stream, const LinearForward& op);

// The same for one-hot rows: y[r, o] = activation(b[o] + w[classes[r], o])
void embedding_forward(const Stream& stream, const LinearForward& op, const std::int32_t* classes);

// dx[r, k] = activation'(x[r, k]) * sum_o dy[r, o] wt[o, k], with the derivative taken from the activated value x
// itself.
struct LinearBackwardData {
  const float* dy;  // [rows, dy_stride]
  int dy_stride;
  const float* wt;  // [out, in_stride], the transpose of w
  int in_stride;
  const float* x;  // [rows, x_stride], this layer's input = the previous layer's activated output; null for linear
  int x_stride;
  float* dx;  // [rows, dx_stride]; columns [0, in_stride) are written
  int dx_stride;
  int rows, out;
  GemmActivation activation;  // of the previous layer
  bool accumulate = false;    // the sum starts from dx instead of zero: towers that share one input
};
void linear_backward_data(const Stream& stream, const LinearBackwardData& op);

// CUDA cuts the rows of a long sum over a batch into this many parts, side by side on more blocks, and adds the parts
// in ascending order. 1: one sum, as on a CPU.
inline int gradient_parts(int rows) { return rows < 1024 ? 1 : rows / 512 < 128 ? rows / 512 : 128; }

// dw[k, o] += sum_r x[r, k] dy[r, o] and db[o] += sum_r dy[r, o], rows in ascending order.
struct LinearBackwardWeights {
  const float* x;  // [rows, x_stride]
  int x_stride;
  const float* dy;  // [rows, dy_stride]
  int dy_stride;
  float* dw;  // [in, out_stride]
  float* db;  // [out_stride]
  int rows, in, out_stride;
  int out = 0;  // columns that are not padding, where the caller knows: a few cost less than out_stride. 0: all
  float* scratch = nullptr;  // [gradient_parts(rows), in + 1, out_stride]; null: one part
};
void linear_backward_weights(const Stream& stream, const LinearBackwardWeights& op);
void embedding_backward_weights(const Stream& stream, const LinearBackwardWeights& op, const std::int32_t* classes);

// The derivative of linear_forward along (dx, dw, db), from its activated output y:
// dy[r, o] = activation'(y[r, o]) * (db[o] + sum_k x[r, k] dw[k, o] + sum_k dx[r, k] w[k, o])
struct LinearTangent {
  const float* x;  // [rows, x_stride]
  int x_stride;
  const float* dx;  // [rows, dx_stride]; null where inputs do not move
  int dx_stride;
  const float* w;   // [in, out_stride]
  const float* dw;  // [in, out_stride]
  const float* db;  // [out_stride]
  const float* y;   // [rows, y_stride]; null for linear
  int y_stride;
  float* dy;  // [rows, dy_stride]; columns [0, out_stride) are written
  int dy_stride;
  int rows, in, out_stride;
  GemmActivation activation;
};
void linear_tangent(const Stream& stream, const LinearTangent& op);

// The same for one-hot rows, which do not move.
void embedding_tangent(const Stream& stream, const LinearTangent& op, const std::int32_t* classes);

// wt[o, k] = w[k, o]; wt rows have in_stride floats, padding zero.
void transpose_weights(const Stream& stream, const float* w, int in, int out, int out_stride, float* wt, int in_stride);

}  // namespace stampede
