// SPDX-License-Identifier: Apache-2.0
// Layer normalisation on a CUDA stream; the same bits as on a CPU. Only builds with CUDA have it.
#pragma once

#include "kernels/layer_norm.h"

namespace stampede {

void cuda_layer_norm_forward(const Stream& stream, const LayerNormForward& op);
void cuda_layer_norm_backward(const Stream& stream, const LayerNormBackward& op);
void cuda_layer_norm_tangent(const Stream& stream, const LayerNormTangent& op);

}  // namespace stampede
