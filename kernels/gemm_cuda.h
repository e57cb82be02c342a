// SPDX-License-Identifier: Apache-2.0
// The products of gemm.h on a CUDA stream; the same bits as on a CPU. Only builds with CUDA have them.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/layer_products.h"

namespace stampede {

void cuda_linear_forward(const Stream& stream, std::span<const LinearForward> ops);
void cuda_embedding_forward(const Stream& stream, const LinearForward& op, const std::int32_t* classes);
void cuda_linear_backward_data(const Stream& stream, const LinearBackwardData& op);
void cuda_linear_backward(const Stream& stream, std::span<const LinearBackwardWeights> weights,
                          std::span<const LinearBackwardData> data);
void cuda_embedding_backward_weights(const Stream& stream, const LinearBackwardWeights& op,
                                     const std::int32_t* classes);
void cuda_transpose_weights(const Stream& stream, std::span<const WeightTranspose> transposes);

}  // namespace stampede
