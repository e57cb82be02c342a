// SPDX-License-Identifier: Apache-2.0
// The widest float vector of the target CPU, with operations that round the same in every width.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/math.h"

namespace stampede {

inline constexpr float kSmallestNormal = 0x1p-126f;

#if defined(__AVX512F__)

struct Vector {
  static constexpr int kLanes = 16;
  __m512 lanes;

  Vector() = default;
  explicit Vector(__m512 v) : lanes(v) {}
  explicit Vector(float x) : lanes(_mm512_set1_ps(x)) {}
  static Vector load(const float* p) { return Vector(_mm512_load_ps(p)); }
  void store(float* p) const { _mm512_store_ps(p, lanes); }
};
HD Vector operator+(Vector a, Vector b) { return Vector(_mm512_add_ps(a.lanes, b.lanes)); }
HD Vector operator-(Vector a, Vector b) { return Vector(_mm512_sub_ps(a.lanes, b.lanes)); }
HD Vector operator*(Vector a, Vector b) { return Vector(_mm512_mul_ps(a.lanes, b.lanes)); }
HD Vector operator/(Vector a, Vector b) { return Vector(_mm512_div_ps(a.lanes, b.lanes)); }
HD Vector fused(Vector a, Vector b, Vector c) { return Vector(_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)); }
// With a full mask, because gcc 12 warns about the unmasked forms' undefined pass-through operand.
HD Vector square_root(Vector a) { return Vector(_mm512_maskz_sqrt_ps(0xFFFF, a.lanes)); }
// x below low becomes low; NaN stays NaN, because the instruction returns its second operand then.
HD Vector at_least(Vector x, Vector low) { return Vector(_mm512_maskz_max_ps(0xFFFF, low.lanes, x.lanes)); }
HD Vector at_most(Vector x, Vector high) { return Vector(_mm512_maskz_min_ps(0xFFFF, high.lanes, x.lanes)); }
// value where x > 0 or NaN, else 0.
HD Vector where_positive(Vector x, Vector value) {
  return Vector(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.lanes, _mm512_setzero_ps(), _CMP_NLE_UQ), value.lanes));
}

// Zero instead of a subnormal number, which would slow every later operation on it down.
HD Vector flush_subnormal(Vector x) {
  const __mmask16 keep = _mm512_cmp_ps_mask(_mm512_abs_ps(x.lanes), _mm512_set1_ps(kSmallestNormal), _CMP_NLT_UQ);
  return Vector(_mm512_maskz_mov_ps(keep, x.lanes));
}

#elif defined(__AVX2__) && defined(__FMA__)

struct Vector {
  static constexpr int kLanes = 8;
  __m256 lanes;

  Vector() = default;
  explicit Vector(__m256 v) : lanes(v) {}
  explicit Vector(float x) : lanes(_mm256_set1_ps(x)) {}
  static Vector load(const float* p) { return Vector(_mm256_load_ps(p)); }
  void store(float* p) const { _mm256_store_ps(p, lanes); }
};
HD Vector operator+(Vector a, Vector b) { return Vector(_mm256_add_ps(a.lanes, b.lanes)); }
HD Vector operator-(Vector a, Vector b) { return Vector(_mm256_sub_ps(a.lanes, b.lanes)); }
HD Vector operator*(Vector a, Vector b) { return Vector(_mm256_mul_ps(a.lanes, b.lanes)); }
HD Vector operator/(Vector a, Vector b) { return Vector(_mm256_div_ps(a.lanes, b.lanes)); }
HD Vector fused(Vector a, Vector b, Vector c) { return Vector(_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)); }
HD Vector square_root(Vector a) { return Vector(_mm256_sqrt_ps(a.lanes)); }
HD Vector at_least(Vector x, Vector low) { return Vector(_mm256_max_ps(low.lanes, x.lanes)); }
HD Vector at_most(Vector x, Vector high) { return Vector(_mm256_min_ps(high.lanes, x.lanes)); }
HD Vector where_positive(Vector x, Vector value) {
  return Vector(_mm256_and_ps(_mm256_cmp_ps(x.lanes, _mm256_setzero_ps(), _CMP_NLE_UQ), value.lanes));
}

HD Vector flush_subnormal(Vector x) {
  const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x.lanes);
  return Vector(_mm256_and_ps(_mm256_cmp_ps(magnitude, _mm256_set1_ps(kSmallestNormal), _CMP_NLT_UQ), x.lanes));
}

#else

struct Vector {
  static constexpr int kLanes = 1;
  float lanes;

  Vector() = default;
  explicit Vector(float x) : lanes(x) {}
  static Vector load(const float* p) { return Vector(*p); }
  void store(float* p) const { *p = lanes; }
};
HD Vector operator+(Vector a, Vector b) { return Vector(a.lanes + b.lanes); }
HD Vector operator-(Vector a, Vector b) { return Vector(a.lanes - b.lanes); }
HD Vector operator*(Vector a, Vector b) { return Vector(a.lanes * b.lanes); }
HD Vector operator/(Vector a, Vector b) { return Vector(a.lanes / b.lanes); }
HD Vector fused(Vector a, Vector b, Vector c) { return Vector(fused(a.lanes, b.lanes, c.lanes)); }
HD Vector square_root(Vector a) { return Vector(square_root(a.lanes)); }
HD Vector at_least(Vector x, Vector low) { return x.lanes < low.lanes ? low : x; }
HD Vector at_most(Vector x, Vector high) { return x.lanes > high.lanes ? high : x; }
HD Vector where_positive(Vector x, Vector value) { return x.lanes <= 0.0f ? Vector(0.0f) : value; }
HD Vector flush_subnormal(Vector x) {
  return x.lanes < kSmallestNormal && x.lanes > -kSmallestNormal ? Vector(0.0f) : x;
}

#endif

HD Vector clamp(Vector x, Vector low, Vector high) { return at_most(at_least(x, low), high); }

// Rows are padded to this many floats, a whole number of vectors in every width.
inline constexpr int kRowPadding = 16;

// Adds sixteen interleaved partial sums, lane i to lane i + 8, then i + 4, i + 2, i + 1, whatever the vector width.
inline float sum_lanes(const Vector* partial) {
#if defined(__AVX2__) && defined(__FMA__)
#if defined(__AVX512F__)
  const __m512d doubles = _mm512_castps_pd(partial->lanes);
  const __m256 eight = _mm256_add_ps(_mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xF, doubles, 0)),
                                     _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xF, doubles, 1)));
#else
  const __m256 eight = _mm256_add_ps(partial[0].lanes, partial[1].lanes);
#endif
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
  float lane[kRowPadding];
  for (int j = 0; j < kRowPadding; ++j) lane[j] = partial[j].lanes;
  for (int half = kRowPadding / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0];
#endif
}

}  // namespace stampede
