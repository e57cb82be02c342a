// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include "kernels/gemm_cpu.h"
#ifdef STAMPEDE_WITH_CUDA
#include "kernels/gemm_cuda.h"
#endif

namespace stampede {

void linear_forward([[maybe_unused]] const Stream& stream, const LinearForward& op) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_linear_forward(stream, op);
#endif
  cpu_linear_forward(op);
}

void embedding_forward([[maybe_unused]] const Stream& stream, const LinearForward& op, const std::int32_t* classes) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_embedding_forward(stream, op, classes);
#endif
  cpu_embedding_forward(op, classes);
}

void linear_backward_data([[maybe_unused]] const Stream& stream, const LinearBackwardData& op) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_linear_backward_data(stream, op);
#endif
  cpu_linear_backward_data(op);
}

void linear_backward_weights([[maybe_unused]] const Stream& stream, const LinearBackwardWeights& op) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_linear_backward_weights(stream, op);
#endif
  cpu_linear_backward_weights(op);
}

void embedding_backward_weights([[maybe_unused]] const Stream& stream, const LinearBackwardWeights& op,
                                const std::int32_t* classes) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_embedding_backward_weights(stream, op, classes);
#endif
  cpu_embedding_backward_weights(op, classes);
}

void transpose_weights([[maybe_unused]] const Stream& stream, const float* w, int in, int out, int out_stride,
                       float* wt, int in_stride) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_transpose_weights(stream, w, in, out, out_stride, wt, in_stride);
#endif
  cpu_transpose_weights(w, in, out, out_stride, wt, in_stride);
}

}  // namespace stampede
