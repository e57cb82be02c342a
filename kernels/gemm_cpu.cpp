// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm_cpu.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "kernels/activation_cpu.h"
#include "kernels/gemm_tile.h"
#include "kernels/simd.h"
#include "kernels/simd_transpose.h"

namespace stampede {
namespace {

// In place on a block that a tile has just written.
template <GemmActivation kActivation>
void activate_block(float* y, std::ptrdiff_t stride, int rows, int columns) {
  for (int r = 0; r < rows; ++r, y += stride) {
    for (int o = 0; o < columns; o += Vector::kLanes) activate<kActivation>(Vector::load(y + o)).store(y + o);
  }
}

void activate_block(GemmActivation activation, float* y, std::ptrdiff_t stride, int rows, int columns) {
  if (activation == GemmActivation::kTanh) activate_block<GemmActivation::kTanh>(y, stride, rows, columns);
  if (activation == GemmActivation::kRelu) activate_block<GemmActivation::kRelu>(y, stride, rows, columns);
}

// db[o] += sum_r dy[r, o] for Width columns from o on, side by side: one sum waits for its last addition.
template <int Width>
void add_columns(const LinearBackwardWeights& op, int o) {
  constexpr int kVectors = Width / Vector::kLanes;
  Vector sum[kVectors];
  for (int j = 0; j < kVectors; ++j) sum[j] = Vector::load(op.db + o + j * Vector::kLanes);
  const float* dy = op.dy + o;
  for (int r = 0; r < op.rows; ++r, dy += op.dy_stride) {
    for (int j = 0; j < kVectors; ++j) sum[j] = sum[j] + Vector::load(dy + j * Vector::kLanes);
  }
  for (int j = 0; j < kVectors; ++j) sum[j].store(op.db + o + j * Vector::kLanes);
}

// db[o] += sum_r dy[r, o]
void add_rows(const LinearBackwardWeights& op) {
  constexpr int kWide = 4 * kRowPadding;
  int o = 0;
  for (; o + kWide <= op.out_stride; o += kWide) add_columns<kWide>(op, o);
  for (; o < op.out_stride; o += kRowPadding) add_columns<kRowPadding>(op, o);
}

// dw of a narrow layer, such as a head of two values: as dw's transpose, whose rows are long. The same products in the
// same order, so the same bits.
constexpr int kNarrow = 4;

void add_narrow_products(const LinearBackwardWeights& op) {
  alignas(64) float transposed[kNarrow * kWidestPanel] = {};
  for (int k = 0; k < op.in; k += kWidestPanel) {
    const int width = std::min(kWidestPanel, op.in - k);
    float* dw = op.dw + static_cast<std::ptrdiff_t>(k) * op.out_stride;
    for (int j = 0; j < width; ++j) {
      for (int o = 0; o < op.out; ++o) transposed[o * kWidestPanel + j] = dw[j * op.out_stride + o];
    }
    const Product product{op.dy,        1,          op.dy_stride, op.x + k, op.x_stride, transposed,
                          kWidestPanel, transposed, kWidestPanel, op.rows};
    multiply<KeepSum>(product, op.out, (width + kRowPadding - 1) / kRowPadding * kRowPadding);
    for (int j = 0; j < width; ++j) {
      for (int o = 0; o < op.out; ++o) dw[j * op.out_stride + o] = transposed[o * kWidestPanel + j];
    }
  }
}

// sum[o] += x[:, k] w[k, o] for the columns k that a square of x holds, one row per lane.
template <int Out>
void add_narrow_columns(const Vector (&column)[Vector::kLanes], int count, const float* w, int w_stride,
                        Vector (&sum)[Out]) {
#pragma GCC unroll 16
  for (int i = 0; i < Vector::kLanes; ++i) {
    if (i >= count) return;
    for (int o = 0; o < Out; ++o) sum[o] = fused(column[i], Vector(w[i * w_stride + o]), sum[o]);
  }
}

// y of a narrow layer for as many rows as a vector has lanes, which are the rows: no lane computes padding. The same
// sums in the same order.
template <int Out>
void multiply_narrow(const LinearForward& op, const float* x, float* y) {
  constexpr int kLanes = Vector::kLanes;
  Vector sum[Out];
  for (int o = 0; o < Out; ++o) sum[o] = Vector(op.b[o]);
  for (int k = 0; k < op.in; k += kLanes) {
    Vector square[kLanes];
    for (int r = 0; r < kLanes; ++r) square[r] = Vector::load(x + static_cast<std::ptrdiff_t>(r) * op.x_stride + k);
    transpose(square);
    add_narrow_columns(square, std::min(kLanes, op.in - k), op.w + static_cast<std::ptrdiff_t>(k) * op.out_stride,
                       op.out_stride, sum);
  }
  alignas(64) float columns[Out][kLanes];
  for (int o = 0; o < Out; ++o) sum[o].store(columns[o]);
  for (int r = 0; r < kLanes; ++r, y += op.y_stride) {
    for (int o = 0; o < kRowPadding; o += kLanes) Vector(0.0f).store(y + o);
    for (int o = 0; o < Out; ++o) y[o] = columns[o][r];
  }
}

// Returns how many rows it computed: whole vectors of them.
int multiply_narrow(const LinearForward& op) {
  static constexpr void (*kFunctions[])(const LinearForward&, const float*, float*) = {
      multiply_narrow<1>, multiply_narrow<2>, multiply_narrow<3>, multiply_narrow<4>};
  static_assert(std::size(kFunctions) == kNarrow);
  if (op.out < 1 || op.out > kNarrow || op.activation != GemmActivation::kLinear) return 0;
  const auto multiply_lanes = kFunctions[op.out - 1];
  int row = 0;
  for (; row + Vector::kLanes <= op.rows; row += Vector::kLanes) {
    multiply_lanes(op, op.x + static_cast<std::ptrdiff_t>(row) * op.x_stride,
                   op.y + static_cast<std::ptrdiff_t>(row) * op.y_stride);
  }
  return row;
}

alignas(64) constexpr float kZeros[kWidestPanel] = {};

}  // namespace

void cpu_linear_forward(const LinearForward& op) {
  const int done = multiply_narrow(op), rows = op.rows - done;
  const float* const x = op.x + static_cast<std::ptrdiff_t>(done) * op.x_stride;
  float* const y = op.y + static_cast<std::ptrdiff_t>(done) * op.y_stride;
  const Product product{x, op.x_stride, 1, op.w, op.out_stride, op.b, 0, y, op.y_stride, op.in};
  switch (op.activation) {
    case GemmActivation::kLinear:
      return multiply<KeepSum>(product, rows, op.out_stride);
    case GemmActivation::kTanh:
      return multiply<ActivateSum<GemmActivation::kTanh>>(product, rows, op.out_stride);
    case GemmActivation::kRelu:
      return multiply<ActivateSum<GemmActivation::kRelu>>(product, rows, op.out_stride);
  }
}

void cpu_embedding_forward(const LinearForward& op, const std::int32_t* classes) {
  for (int r = 0; r < op.rows; ++r) {
    const float* w = op.w + static_cast<std::ptrdiff_t>(classes[r]) * op.out_stride;
    float* y = op.y + static_cast<std::ptrdiff_t>(r) * op.y_stride;
    for (int o = 0; o < op.out_stride; o += Vector::kLanes) (Vector::load(op.b + o) + Vector::load(w + o)).store(y + o);
    activate_block(op.activation, y, op.y_stride, 1, op.out_stride);
  }
}

void cpu_linear_backward_data(const LinearBackwardData& op) {
  for (int column = 0; column < op.in_stride; column += kWidestPanel) {
    const int width = std::min(kWidestPanel, op.in_stride - column);
    float* dx = op.dx + column;
    Product product{op.dy,
                    op.dy_stride,
                    1,
                    op.wt + column,
                    op.in_stride,
                    op.accumulate ? dx : kZeros,
                    op.accumulate ? op.dx_stride : 0,
                    dx,
                    op.dx_stride,
                    op.out};
    if (op.activation == GemmActivation::kLinear) {
      multiply<KeepSum>(product, op.rows, width);
      continue;
    }
    product.values = op.x + column;
    product.values_stride = op.x_stride;
    const bool tanh = op.activation == GemmActivation::kTanh;
    if (tanh) multiply<DifferentiateSum<GemmActivation::kTanh>>(product, op.rows, width);
    if (!tanh) multiply<DifferentiateSum<GemmActivation::kRelu>>(product, op.rows, width);
  }
}

void cpu_linear_backward_weights(const LinearBackwardWeights& op) {
  add_rows(op);
  if (op.out > 0 && op.out <= kNarrow && op.rows > 1) return add_narrow_products(op);
  const Product product{op.x, 1, op.x_stride, op.dy, op.dy_stride, op.dw, op.out_stride, op.dw, op.out_stride, op.rows};
  multiply<KeepSum>(product, op.in, op.out_stride);
}

void cpu_embedding_backward_weights(const LinearBackwardWeights& op, const std::int32_t* classes) {
  for (int r = 0; r < op.rows; ++r) {
    float* dw = op.dw + static_cast<std::ptrdiff_t>(classes[r]) * op.out_stride;
    const float* dy = op.dy + static_cast<std::ptrdiff_t>(r) * op.dy_stride;
    for (int o = 0; o < op.out_stride; o += Vector::kLanes) (Vector::load(dw + o) + Vector::load(dy + o)).store(dw + o);
  }
  add_rows(op);
}

}  // namespace stampede
