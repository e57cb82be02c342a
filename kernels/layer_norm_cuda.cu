// SPDX-License-Identifier: Apache-2.0
#include "kernels/layer_norm_cuda.h"

#include "kernels/launch.h"
#include "kernels/layer_norm_blocks.h"

#ifdef __CUDACC__
namespace stampede {

namespace {

void add_columns(const Stream& stream, const LayerNormBackward& op) {
  const int parts = op.scratch ? gradient_parts(op.rows) : 1;
  for_each_index(stream, parts * op.stride, LayerNormColumn{op, parts});
  if (parts == 1) return;
  for_each_index(stream, 2 * op.stride, AddParts{op.scratch, parts, 2 * op.stride, op.stride, op.d_gain, op.d_bias});
}

}  // namespace

void cuda_layer_norm_forward(const Stream& stream, const LayerNormForward& op) {
  if (op.rows == 0) return;
  launch_blocks(stream, layer_norm_blocks(op.rows), kLayerNormThreads, 0, LayerNormForwardKernel{op});
}

void cuda_layer_norm_backward(const Stream& stream, const LayerNormBackward& op) {
  if (op.rows == 0) return;
  // First, because the rows' kernel overwrites dy.
  if (op.d_gain != nullptr) add_columns(stream, op);
  launch_blocks(stream, layer_norm_blocks(op.rows), kLayerNormThreads, 0, LayerNormBackwardKernel{op});
}

void cuda_layer_norm_tangent(const Stream& stream, const LayerNormTangent& op) {
  if (op.rows == 0) return;
  launch_blocks(stream, layer_norm_blocks(op.rows), kLayerNormThreads, 0, LayerNormTangentKernel{op});
}

}  // namespace stampede
#endif
