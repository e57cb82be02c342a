// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>

#include "kernels/gemm_cpu.h"
#include "kernels/simd.h"
#include "kernels/simd_transpose.h"

namespace stampede {
namespace {

constexpr int kBlock = Vector::kLanes;
constexpr int kSquare = 16;  // one cache line of floats

void transpose_scalar(const float* from, std::ptrdiff_t from_stride, float* to, std::ptrdiff_t to_stride, int rows,
                      int columns) {
  for (int c = 0; c < columns; ++c) {
    for (int r = 0; r < rows; ++r) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

// to[c, r] = from[r, c] for a block in registers.
void transpose_block(const float* from, std::ptrdiff_t from_stride, float* to, std::ptrdiff_t to_stride) {
  Vector row[kBlock];
  for (int r = 0; r < kBlock; ++r) row[r] = Vector::load(from + r * from_stride);
  transpose(row);
  for (int c = 0; c < kBlock; ++c) row[c].store(to + c * to_stride);
}

// One 16 x 16 square or what is left of it at the edges.
void transpose_square(const float* from, std::ptrdiff_t from_stride, float* to, std::ptrdiff_t to_stride, int rows,
                      int columns) {
  if (rows < kSquare || columns < kSquare) return transpose_scalar(from, from_stride, to, to_stride, rows, columns);
  for (int c = 0; c < kSquare; c += kBlock) {
    for (int r = 0; r < kSquare; r += kBlock) {
      transpose_block(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
    }
  }
}

}  // namespace

// In squares of one cache line, because rows a power of two apart evict each other from the first level.
void cpu_transpose_weights(const float* w, int in, int out, int out_stride, float* wt, int in_stride) {
  for (int o = 0; o < out; o += kSquare) {
    for (int k = 0; k < in; k += kSquare) {
      transpose_square(w + static_cast<std::ptrdiff_t>(k) * out_stride + o, out_stride,
                       wt + static_cast<std::ptrdiff_t>(o) * in_stride + k, in_stride, std::min(kSquare, in - k),
                       std::min(kSquare, out - o));
    }
  }
  for (int o = 0; o < out; ++o) {
    float* row = wt + static_cast<std::ptrdiff_t>(o) * in_stride;
    std::fill(row + in, row + in_stride, 0.0f);
  }
}

}  // namespace stampede
