// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include "kernels/gemm_cpu.h"
#ifdef STAMPEDE_WITH_CUDA
#include "kernels/gemm_cuda.h"
#endif

namespace stampede {
namespace {

// The part of a tangent that parameters' directions give, before the activation's derivative.
LinearForward parameter_part(const LinearTangent& op) {
  return {.x = op.x,
          .x_stride = op.x_stride,
          .w = op.dw,
          .b = op.db,
          .y = op.dy,
          .y_stride = op.dy_stride,
          .rows = op.rows,
          .in = op.in,
          .out_stride = op.out_stride,
          .activation = GemmActivation::kLinear};
}

// Adds what the inputs' directions give and applies the derivative: the product of a backward pass, which also
// multiplies by activation'(.), with the weights in the place of their transpose.
LinearBackwardData input_part(const LinearTangent& op) {
  return {.dy = op.dx,
          .dy_stride = op.dx_stride,
          .wt = op.w,
          .in_stride = op.out_stride,
          .x = op.y,
          .x_stride = op.y_stride,
          .dx = op.dy,
          .dx_stride = op.dy_stride,
          .rows = op.rows,
          .out = op.dx == nullptr ? 0 : op.in,
          .activation = op.activation,
          .accumulate = true};
}

}  // namespace

void linear_forward([[maybe_unused]] const Stream& stream, const LinearForward& op) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_linear_forward(stream, std::span(&op, 1));
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
  if (stream.is_cuda()) return cuda_linear_backward(stream, std::span(&op, 1), {});
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

void linear_tangent(const Stream& stream, const LinearTangent& op) {
  linear_forward(stream, parameter_part(op));
  linear_backward_data(stream, input_part(op));
}

void embedding_tangent(const Stream& stream, const LinearTangent& op, const std::int32_t* classes) {
  embedding_forward(stream, parameter_part(op), classes);
  linear_backward_data(stream, input_part(op));
}

void transpose_weights([[maybe_unused]] const Stream& stream, const float* w, int in, int out, int out_stride,
                       float* wt, int in_stride) {
#ifdef STAMPEDE_WITH_CUDA
  const WeightTranspose transpose{w, in, out, out_stride, wt, in_stride};
  if (stream.is_cuda()) return cuda_transpose_weights(stream, std::span(&transpose, 1));
#endif
  cpu_transpose_weights(w, in, out, out_stride, wt, in_stride);
}

}  // namespace stampede
