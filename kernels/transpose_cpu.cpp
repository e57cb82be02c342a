// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>

#include "kernels/gemm_cpu.h"
#include "kernels/simd.h"

namespace stampede {
namespace {

constexpr int kBlock = 8;
constexpr int kSquare = 16;  // one cache line of floats

void transpose_scalar(const float* from, std::ptrdiff_t from_stride, float* to, std::ptrdiff_t to_stride, int rows,
                      int columns) {
  for (int c = 0; c < columns; ++c) {
    for (int r = 0; r < rows; ++r) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

#if defined(__AVX2__)
// to[c, r] = from[r, c] for an 8 x 8 block: halves are joined while loading, then two rounds of shuffles.
void transpose_block(const float* from, std::ptrdiff_t from_stride, float* to, std::ptrdiff_t to_stride) {
  for (int half = 0; half < 2; ++half) {
    __m256 row[4];
    for (int i = 0; i < 4; ++i) {
      const __m256 low = _mm256_castps128_ps256(_mm_load_ps(from + i * from_stride + 4 * half));
      row[i] = _mm256_insertf128_ps(low, _mm_load_ps(from + (i + 4) * from_stride + 4 * half), 1);
    }
    const __m256 a = _mm256_unpacklo_ps(row[0], row[1]), b = _mm256_unpackhi_ps(row[0], row[1]);
    const __m256 c = _mm256_unpacklo_ps(row[2], row[3]), d = _mm256_unpackhi_ps(row[2], row[3]);
    float* out = to + 4 * half * to_stride;
    _mm256_store_ps(out, _mm256_shuffle_ps(a, c, 0x44));
    _mm256_store_ps(out + to_stride, _mm256_shuffle_ps(a, c, 0xEE));
    _mm256_store_ps(out + 2 * to_stride, _mm256_shuffle_ps(b, d, 0x44));
    _mm256_store_ps(out + 3 * to_stride, _mm256_shuffle_ps(b, d, 0xEE));
  }
}
#else
void transpose_block(const float* from, std::ptrdiff_t from_stride, float* to, std::ptrdiff_t to_stride) {
  transpose_scalar(from, from_stride, to, to_stride, kBlock, kBlock);
}
#endif

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
