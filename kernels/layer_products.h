// SPDX-License-Identifier: Apache-2.0
// Several products of gemm.h that do not wait for each other: those of a layer in two towers, both gradients of a
// layer. On CUDA together they are one launch; the bits are those of one after the other.
#pragma once

#include <span>

#include "kernels/gemm.h"

namespace stampede {

inline constexpr std::size_t kMostLayerProducts = 2;  // of one kind

// linear_forward() of each. All have more than 16 columns, or none.
void linear_forward(const Stream& stream, std::span<const LinearForward> ops);

// linear_backward_weights() and linear_backward_data() of each, none of which reads what another one writes. All of one
// kind have more than 16 columns, or none.
void linear_backward(const Stream& stream, std::span<const LinearBackwardWeights> weights,
                     std::span<const LinearBackwardData> data);

// transpose_weights() of any number of matrices.
struct WeightTranspose {
  const float* w;  // [in, out_stride]
  int in, out, out_stride;
  float* wt;  // [out, in_stride]
  int in_stride;
};
void transpose_weights(const Stream& stream, std::span<const WeightTranspose> transposes);

}  // namespace stampede
