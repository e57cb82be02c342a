// SPDX-License-Identifier: Apache-2.0
#include "kernels/product_epilogues.h"

#include <cstddef>

#include "kernels/element_count.h"
#include "kernels/gemm_blocks.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct BiasAndActivate {
  LinearForward op;
  HD void operator()(int i) const {
    const int row = i / op.out_stride, column = i % op.out_stride;
    float& y = op.y[static_cast<std::ptrdiff_t>(row) * op.y_stride + column];
    y = activate(y + op.b[column], op.activation);
  }
};

struct MultiplyByDerivative {
  LinearBackwardData op;
  HD void operator()(int i) const {
    const int row = i / op.in_stride, column = i % op.in_stride;
    float& dx = op.dx[static_cast<std::ptrdiff_t>(row) * op.dx_stride + column];
    dx = differentiate(op.x[static_cast<std::ptrdiff_t>(row) * op.x_stride + column], dx, op.activation);
  }
};

struct AddTo {
  float* target;
  const float* added;
  HD void operator()(int i) const { target[i] += added[i]; }
};

struct FillWith {
  float* target;
  float value;
  HD void operator()(int i) const { target[i] = value; }
};

}  // namespace

void add_bias_and_activate(const Stream& stream, const LinearForward& op) {
  for_each_index(stream, element_count(op.rows, op.out_stride), BiasAndActivate{op});
}

void multiply_by_derivative(const Stream& stream, const LinearBackwardData& op) {
  if (op.activation == GemmActivation::kLinear) return;
  for_each_index(stream, element_count(op.rows, op.in_stride), MultiplyByDerivative{op});
}

void add_to(const Stream& stream, float* target, const float* added, int count) {
  for_each_index(stream, count, AddTo{target, added});
}

void fill(const Stream& stream, float* target, float value, int count) {
  for_each_index(stream, count, FillWith{target, value});
}

}  // namespace stampede
