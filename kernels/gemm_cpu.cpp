// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm_cpu.h"

#include <algorithm>
#include <cstddef>

#include "kernels/activation_cpu.h"
#include "kernels/gemm_tile.h"
#include "kernels/simd.h"

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

// dx *= activation'(.), from the activated values x.
void differentiate_block(GemmActivation activation, const float* x, std::ptrdiff_t x_stride, float* dx,
                         std::ptrdiff_t dx_stride, int rows, int columns) {
  for (int r = 0; r < rows; ++r, x += x_stride, dx += dx_stride) {
    for (int k = 0; k < columns; k += Vector::kLanes) {
      const Vector value = Vector::load(x + k);
      const Vector gradient = Vector::load(dx + k);
      const Vector product = activation == GemmActivation::kTanh
                                 ? differentiate<GemmActivation::kTanh>(value, gradient)
                                 : differentiate<GemmActivation::kRelu>(value, gradient);
      product.store(dx + k);
    }
  }
}

// db[o] += sum_r dy[r, o]
void add_rows(const LinearBackwardWeights& op) {
  for (int o = 0; o < op.out_stride; o += kRowPadding) {
    constexpr int kVectors = kRowPadding / Vector::kLanes;
    Vector sum[kVectors];
    for (int j = 0; j < kVectors; ++j) sum[j] = Vector::load(op.db + o + j * Vector::kLanes);
    const float* dy = op.dy + o;
    for (int r = 0; r < op.rows; ++r, dy += op.dy_stride) {
      for (int j = 0; j < kVectors; ++j) sum[j] = sum[j] + Vector::load(dy + j * Vector::kLanes);
    }
    for (int j = 0; j < kVectors; ++j) sum[j].store(op.db + o + j * Vector::kLanes);
  }
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
    multiply(product, op.out, (width + kRowPadding - 1) / kRowPadding * kRowPadding, [](int, int, int, int) {});
    for (int j = 0; j < width; ++j) {
      for (int o = 0; o < op.out; ++o) dw[j * op.out_stride + o] = transposed[o * kWidestPanel + j];
    }
  }
}

alignas(64) constexpr float kZeros[kWidestPanel] = {};

}  // namespace

void cpu_linear_forward(const LinearForward& op) {
  const Product product{op.x, op.x_stride, 1, op.w, op.out_stride, op.b, 0, op.y, op.y_stride, op.in};
  multiply(product, op.rows, op.out_stride, [&](int row, int count, int column, int width) {
    float* y = op.y + static_cast<std::ptrdiff_t>(row) * op.y_stride + column;
    activate_block(op.activation, y, op.y_stride, count, width);
  });
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
  const bool linear = op.activation == GemmActivation::kLinear;
  for (int column = 0; column < op.in_stride; column += kWidestPanel) {
    const int width = std::min(kWidestPanel, op.in_stride - column);
    float* dx = op.dx + column;
    const Product product{op.dy,
                          op.dy_stride,
                          1,
                          op.wt + column,
                          op.in_stride,
                          op.accumulate ? dx : kZeros,
                          op.accumulate ? op.dx_stride : 0,
                          dx,
                          op.dx_stride,
                          op.out};
    multiply(product, op.rows, width, [&](int row, int count, int, int) {
      if (linear) return;
      const float* x = op.x + static_cast<std::ptrdiff_t>(row) * op.x_stride + column;
      float* block = dx + static_cast<std::ptrdiff_t>(row) * op.dx_stride;
      differentiate_block(op.activation, x, op.x_stride, block, op.dx_stride, count, width);
    });
  }
}

void cpu_linear_backward_weights(const LinearBackwardWeights& op) {
  add_rows(op);
  if (op.out > 0 && op.out <= kNarrow && op.rows > 1) return add_narrow_products(op);
  const Product product{op.x, 1, op.x_stride, op.dy, op.dy_stride, op.dw, op.out_stride, op.dw, op.out_stride, op.rows};
  multiply(product, op.in, op.out_stride, [](int, int, int, int) {});
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
