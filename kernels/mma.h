// SPDX-License-Identifier: Apache-2.0
// Tensor-core products of one warp: bf16 factors, fp32 sums.
#pragma once

#include <cstdint>

#include "kernels/block.h"
#include "kernels/math.h"

namespace stampede {

// The nearest bf16, ties to even, in the upper half of the word; finite x.
HD std::uint32_t bf16_bits(float x) {
  const std::uint32_t bits = float_bits(x);
  return (bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u;
}

#ifdef STAMPEDE_BLOCK_KERNELS
// Two bf16 in one word, `low` in the lower half.
DEVICE std::uint32_t pack_bf16(float low, float high) {
#ifdef __CUDA_ARCH__
  std::uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
#else
  return bf16_bits(low) >> 16 | bf16_bits(high);
#endif
}

// tanh to about 2^-11, by the special-function unit.
DEVICE float fast_tanh(float x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return tanh_of(x);
#endif
}

#ifdef __CUDACC__
// d += a b for a [16, 16], b [16, 8], d [16, 8]. With g = lane / 4 and q = lane % 4 a lane holds, two to a word where
// they are bf16:
//   a[0..3]  rows g, g + 8, g, g + 8; columns 2 q, 2 q + 1, of the last two 8 further
//   b[0..1]  rows 2 q, 2 q + 1, of the second 8 further; column g
//   d[0..3]  rows g, g, g + 8, g + 8; columns 2 q and 2 q + 1 in turn
DEVICE void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four matrices of 8 x 8 bf16 from shared memory. `row` is the address, aligned to 16 bytes, of row l % 8 of matrix
// l / 8, for lane l. d[m] is of matrix m: row g, columns 2 q and 2 q + 1.
DEVICE void load_matrices(std::uint32_t (&d)[4], const std::uint32_t* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}
// The same, transposed: rows 2 q and 2 q + 1 of column g.
DEVICE void load_transposed(std::uint32_t (&d)[4], const std::uint32_t* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}
#endif

// A lane's `row` of four matrices that are a 16 x 16 block of an array of bf16 with `pitch` words a row. Stacked: the
// second matrix is below the first one, the other two to their right; side by side: the second is right of the first.
DEVICE const std::uint32_t* stacked(const std::uint32_t* array, int pitch, int row, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  return array + (row + lane % 16) * pitch + column / 2 + lane / 16 * 4;
}
DEVICE const std::uint32_t* side_by_side(const std::uint32_t* array, int pitch, int row, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  return array + (row + lane % 8 + lane / 16 * 8) * pitch + column / 2 + lane / 8 % 2 * 4;
}
#endif

}  // namespace stampede
