// SPDX-License-Identifier: Apache-2.0
// The products of gemm.h on the calling thread, in register tiles of AVX-512, AVX2 or scalars: the same bits in each.
#pragma once

#include "kernels/gemm.h"

namespace stampede {

void cpu_linear_forward(const LinearForward& op);
void cpu_embedding_forward(const LinearForward& op, const std::int32_t* classes);
void cpu_linear_backward_data(const LinearBackwardData& op);
void cpu_linear_backward_weights(const LinearBackwardWeights& op);
void cpu_embedding_backward_weights(const LinearBackwardWeights& op, const std::int32_t* classes);
void cpu_transpose_weights(const float* w, int in, int out, int out_stride, float* wt, int in_stride);

}  // namespace stampede
