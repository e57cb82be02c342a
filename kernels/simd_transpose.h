// SPDX-License-Identifier: Apache-2.0
// Turns a square of floats in registers, as many rows as a vector has lanes, into its transpose.
#pragma once

#include "kernels/simd.h"

namespace stampede {

#if defined(__AVX512F__)

// Rounds of pairs, of pairs of pairs, then of quarters. With full masks, as in simd.h.
inline void transpose(Vector (&row)[16]) {
  constexpr __mmask16 kAll = 0xFFFF;
  __m512 quad[16];  // quad[4 g + c]: in its quarter q column 4 q + c of rows 4 g .. 4 g + 3
#pragma GCC unroll 4
  for (int g = 0; g < 16; g += 4) {
    const __m512d low01 = _mm512_castps_pd(_mm512_maskz_unpacklo_ps(kAll, row[g].lanes, row[g + 1].lanes));
    const __m512d high01 = _mm512_castps_pd(_mm512_maskz_unpackhi_ps(kAll, row[g].lanes, row[g + 1].lanes));
    const __m512d low23 = _mm512_castps_pd(_mm512_maskz_unpacklo_ps(kAll, row[g + 2].lanes, row[g + 3].lanes));
    const __m512d high23 = _mm512_castps_pd(_mm512_maskz_unpackhi_ps(kAll, row[g + 2].lanes, row[g + 3].lanes));
    quad[g] = _mm512_castpd_ps(_mm512_maskz_unpacklo_pd(0xFF, low01, low23));
    quad[g + 1] = _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(0xFF, low01, low23));
    quad[g + 2] = _mm512_castpd_ps(_mm512_maskz_unpacklo_pd(0xFF, high01, high23));
    quad[g + 3] = _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(0xFF, high01, high23));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 even_upper = _mm512_maskz_shuffle_f32x4(kAll, quad[c], quad[4 + c], 0x88);
    const __m512 odd_upper = _mm512_maskz_shuffle_f32x4(kAll, quad[c], quad[4 + c], 0xDD);
    const __m512 even_lower = _mm512_maskz_shuffle_f32x4(kAll, quad[8 + c], quad[12 + c], 0x88);
    const __m512 odd_lower = _mm512_maskz_shuffle_f32x4(kAll, quad[8 + c], quad[12 + c], 0xDD);
    row[c].lanes = _mm512_maskz_shuffle_f32x4(kAll, even_upper, even_lower, 0x88);
    row[4 + c].lanes = _mm512_maskz_shuffle_f32x4(kAll, odd_upper, odd_lower, 0x88);
    row[8 + c].lanes = _mm512_maskz_shuffle_f32x4(kAll, even_upper, even_lower, 0xDD);
    row[12 + c].lanes = _mm512_maskz_shuffle_f32x4(kAll, odd_upper, odd_lower, 0xDD);
  }
}

#elif defined(__AVX2__) && defined(__FMA__)

inline void transpose(Vector (&row)[8]) {
  __m256 quad[8];  // quad[4 g + c]: in its half h column 4 h + c of rows 4 g .. 4 g + 3
#pragma GCC unroll 2
  for (int g = 0; g < 8; g += 4) {
    const __m256 low01 = _mm256_unpacklo_ps(row[g].lanes, row[g + 1].lanes);
    const __m256 high01 = _mm256_unpackhi_ps(row[g].lanes, row[g + 1].lanes);
    const __m256 low23 = _mm256_unpacklo_ps(row[g + 2].lanes, row[g + 3].lanes);
    const __m256 high23 = _mm256_unpackhi_ps(row[g + 2].lanes, row[g + 3].lanes);
    quad[g] = _mm256_shuffle_ps(low01, low23, 0x44);
    quad[g + 1] = _mm256_shuffle_ps(low01, low23, 0xEE);
    quad[g + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
    quad[g + 3] = _mm256_shuffle_ps(high01, high23, 0xEE);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    row[c].lanes = _mm256_permute2f128_ps(quad[c], quad[4 + c], 0x20);
    row[4 + c].lanes = _mm256_permute2f128_ps(quad[c], quad[4 + c], 0x31);
  }
}

#else

inline void transpose(Vector (&)[1]) {}

#endif

}  // namespace stampede
