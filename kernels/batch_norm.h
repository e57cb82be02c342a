// SPDX-License-Identifier: Apache-2.0
// Batch normalisation with learnable gain and bias (Ioffe & Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2) and its
// gradient, followed by an activation.
#pragma once

#include "kernels/gemm.h"

namespace stampede {

inline constexpr float kBatchNormEpsilon = 1e-5f;
inline constexpr float kBatchNormMomentum = 0.01f;  // share of a batch's statistics that enters the running ones

// All rows have `stride` floats, a multiple of 16; padding columns are zero, in gain and bias too, and stay so. Sums
// over rows have a fixed shape (batch_norm_blocks.h), so that both devices and any number of threads give the same
// bits. Stream-ordered.

// n = (x - mean) / sqrt(variance + epsilon) by column, y = activation(gain * n + bias), with the batch's statistics.
struct BatchNormForward {
  float* x;           // [rows, stride]; becomes n
  const float* gain;  // [stride]
  const float* bias;  // [stride]
  float* y;           // [rows, stride]
  float* mean;        // [stride]
  float* variance;    // [stride], divided by rows
  int rows, stride;
  GemmActivation activation;
};
void batch_norm_forward(const Stream& stream, const BatchNormForward& op);

// The same with statistics that are given: a row's result depends on the row alone.
struct BatchNormInference {
  float* x;           // [rows, stride]; becomes y
  const float* gain;  // [stride]
  const float* bias;  // [stride]
  const float* mean;  // [stride]
  const float* variance;
  int rows, stride;
  GemmActivation activation;
};
void batch_norm_inference(const Stream& stream, const BatchNormInference& op);

// From dy, the derivative by gain * n + bias (the activation's is in it already): dy becomes the derivative by x,
// through the batch's statistics too; d_gain[o] += sum_r dy[r, o] n[r, o] and d_bias[o] += sum_r dy[r, o].
struct BatchNormBackward {
  float* dy;              // [rows, stride]
  const float* n;         // [rows, stride], as the forward pass left it
  const float* variance;  // [stride]
  const float* gain;      // [stride]
  float* d_gain;          // [stride], or null together with d_bias: dx alone is wanted
  float* d_bias;          // [stride]
  int rows, stride;
};
void batch_norm_backward(const Stream& stream, const BatchNormBackward& op);

// running += momentum (batch - running), for mean and for the unbiased variance.
struct RunningStatistics {
  const float* batch_mean;      // [stride]
  const float* batch_variance;  // [stride], divided by rows
  float* mean;                  // [stride]
  float* variance;              // [stride]
  int rows, stride;
};
void update_running_statistics(const Stream& stream, const RunningStatistics& op);

}  // namespace stampede
