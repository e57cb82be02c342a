// SPDX-License-Identifier: Apache-2.0
#include "kernels/layer_products.h"

#include "kernels/gemm_cpu.h"
#ifdef STAMPEDE_WITH_CUDA
#include "kernels/gemm_cuda.h"
#endif

namespace stampede {

void linear_forward([[maybe_unused]] const Stream& stream, std::span<const LinearForward> ops) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_linear_forward(stream, ops);
#endif
  for (const LinearForward& op : ops) cpu_linear_forward(op);
}

void linear_backward([[maybe_unused]] const Stream& stream, std::span<const LinearBackwardWeights> weights,
                     std::span<const LinearBackwardData> data) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_linear_backward(stream, weights, data);
#endif
  for (const LinearBackwardWeights& op : weights) cpu_linear_backward_weights(op);
  for (const LinearBackwardData& op : data) cpu_linear_backward_data(op);
}

void transpose_weights([[maybe_unused]] const Stream& stream, std::span<const WeightTranspose> transposes) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_transpose_weights(stream, transposes);
#endif
  for (const WeightTranspose& t : transposes) cpu_transpose_weights(t.w, t.in, t.out, t.out_stride, t.wt, t.in_stride);
}

}  // namespace stampede
