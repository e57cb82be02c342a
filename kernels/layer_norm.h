// SPDX-License-Identifier: Apache-2.0
// Layer normalisation with learnable gain and bias (Ba, Kiros & Hinton 2016, arXiv:1607.06450, equation 4) and its
// gradient and tangent, followed by an activation.
#pragma once

#include "kernels/gemm.h"

namespace stampede {

inline constexpr float kLayerNormEpsilon = 1e-5f;

// All rows have `stride` floats, `size` rounded up to 16, and are aligned to 64 bytes. Columns from `size` on are
// padding: they enter no mean and no variance and are written as zero; gain and bias have zeros there. A row's sums are
// sixteen interleaved partial sums joined by a tree, so a result depends on nothing but the row, on either device. A
// CPU stream computes on the calling thread.

// n = (x - mean(x)) / sqrt(var(x) + epsilon), y = activation(gain * n + bias)
struct LayerNormForward {
  float* x;           // [rows, stride], padding zero; becomes n when inverse is set
  const float* gain;  // [stride]
  const float* bias;  // [stride]
  float* y;           // [rows, stride]; may be x when inverse is null
  float* inverse;     // [rows] 1 / sqrt(var + epsilon) for the gradient, or null
  int rows, size, stride;
  GemmActivation activation;
};
void layer_norm_forward(const Stream& stream, const LayerNormForward& op);

// From dy, the derivative by gain * n + bias (the activation's is in it already): dy becomes the derivative by x;
// d_gain[o] += sum_r dy[r, o] n[r, o] and d_bias[o] += sum_r dy[r, o], rows in ascending order.
struct LayerNormBackward {
  float* dy;             // [rows, stride], padding zero
  const float* n;        // [rows, stride], as the forward pass left it
  const float* inverse;  // [rows]
  const float* gain;     // [stride]
  float* d_gain;         // [stride], or null together with d_bias: dx alone is wanted
  float* d_bias;         // [stride]
  int rows, size, stride;
  float* scratch = nullptr;  // [gradient_parts(rows), 2, stride], for CUDA; null: one part
};
void layer_norm_backward(const Stream& stream, const LayerNormBackward& op);

// The derivative of the forward pass along (dx, d_gain, d_bias), from what it kept and its results y; dx becomes
// dy = activation'(y) * (gain * dn + d_gain * n + d_bias), dn = (dx - mean(dx) - n mean(n dx)) * inverse.
struct LayerNormTangent {
  float* dx;             // [rows, stride], padding zero
  const float* n;        // [rows, stride]
  const float* inverse;  // [rows]
  const float* gain;     // [stride]
  const float* d_gain;   // [stride], padding zero
  const float* d_bias;   // [stride], padding zero
  const float* y;        // [rows, stride]
  int rows, size, stride;
  GemmActivation activation;
};
void layer_norm_tangent(const Stream& stream, const LayerNormTangent& op);

}  // namespace stampede
