// SPDX-License-Identifier: Apache-2.0
// Elementary functions with the same bits on every device and compiler: polynomials in explicit fmaf, no libm.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/hd.h"

namespace stampede {

inline constexpr float kPi = 3.14159265358979323846f;
inline constexpr float kTwoPi = 6.28318530717958647692f;

HD float fused(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return fmaf(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

HD std::uint32_t float_bits(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(x);
#else
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

HD float bits_float(std::uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

// Keeps NaN, unlike a min of a max.
HD float clamp(float x, float low, float high) {
  const float raised = x < low ? low : x;
  return raised > high ? high : raised;
}

// condition ? a : b by bit masks: gcc 12 does not vectorise a choice whose condition is the same for all iterations.
HD float select_uniform(bool condition, float a, float b) {
  const std::uint32_t mask = 0u - static_cast<std::uint32_t>(condition);
  return bits_float((float_bits(a) & mask) | (float_bits(b) & ~mask));
}

// Nearest integer for |x| < 2^22, ties to even.
HD float round_to_integer(float x) { return (x + 12582912.0f) - 12582912.0f; }

HD float floor_of(float x) {
#ifdef __CUDA_ARCH__
  return floorf(x);
#else
  return __builtin_floorf(x);
#endif
}

HD float square_root(float x) {
#ifdef __CUDA_ARCH__
  return sqrtf(x);
#else
  return __builtin_sqrtf(x);
#endif
}

struct SinCos {
  float sin, cos;
};

// Three-term Cody-Waite reduction by pi/2 and the Cephes minimax polynomials: below 1.6 ulp for |x| <= pi and 9.2e-8
// absolute up to 1e4.
HD SinCos sin_cos(float x) {
  const float k = round_to_integer(x * 0.63661977236758134f);
  const std::int32_t quadrant = static_cast<std::int32_t>(k);
  float r = fused(k, -1.5703125f, x);
  r = fused(k, -4.837512969970703125e-4f, r);
  r = fused(k, -7.54978995489188216e-8f, r);
  const float r2 = r * r;
  const float s = fused(fused(fused(-1.9515295891e-4f, r2, 8.3321608736e-3f), r2, -1.6666654611e-1f) * r2, r, r);
  const float c = fused(fused(fused(2.443315711809948e-5f, r2, -1.388731625493765e-3f), r2, 4.166664568298827e-2f) * r2,
                        r2, fused(-0.5f, r2, 1.0f));
  const bool swap = quadrant & 1;
  const float sin_magnitude = swap ? c : s;
  const float cos_magnitude = swap ? s : c;
  return {quadrant & 2 ? -sin_magnitude : sin_magnitude, (quadrant + 1) & 2 ? -cos_magnitude : cos_magnitude};
}

// Below 2 ulp for x in [-87, 88]; clamped outside, so never infinite and never below 1e-38.
HD float exp_of(float x) {
  const float bounded = clamp(x, -87.3f, 88.3f);
  const float k = round_to_integer(bounded * 1.44269504088896341f);
  float r = fused(k, -0.693359375f, bounded);
  r = fused(k, 2.12194440e-4f, r);
  float p = fused(1.9875691500e-4f, r, 1.3981999507e-3f);
  p = fused(p, r, 8.3334519073e-3f);
  p = fused(p, r, 4.1665795894e-2f);
  p = fused(p, r, 1.6666665459e-1f);
  p = fused(p, r, 5.0000001201e-1f);
  p = fused(p, r * r, r) + 1.0f;
  return p * bits_float(static_cast<std::uint32_t>(static_cast<std::int32_t>(k) + 127) << 23);
}

// Natural logarithm, below 2 ulp for normal positive x; -infinity at 0, NaN below.
HD float log_of(float x) {
  const std::uint32_t bits = float_bits(x);
  std::int32_t exponent = static_cast<std::int32_t>(bits >> 23) - 126;
  float m = bits_float((bits & 0x007FFFFFu) | 0x3F000000u);  // [0.5, 1)
  const bool low = m < 0.70710678118654752f;
  exponent = low ? exponent - 1 : exponent;
  m = low ? m + m - 1.0f : m - 1.0f;
  const float z = m * m;
  float p = fused(7.0376836292e-2f, m, -1.1514610310e-1f);
  p = fused(p, m, 1.1676998740e-1f);
  p = fused(p, m, -1.2420140846e-1f);
  p = fused(p, m, 1.4249322787e-1f);
  p = fused(p, m, -1.6668057665e-1f);
  p = fused(p, m, 2.0000714765e-1f);
  p = fused(p, m, -2.4999993993e-1f);
  p = fused(p, m, 3.3333331174e-1f);
  const float e = static_cast<float>(exponent);
  float y = fused(e, -2.12194440e-4f, p * m * z);
  y = fused(-0.5f, z, y) + m;
  y = fused(e, 0.693359375f, y);
  y = x == 0.0f ? -INFINITY : y;
  y = x < 0.0f ? NAN : y;
  return (x != x) | (x == INFINITY) ? x : y;
}

// A rational minimax approximation of degree 9 over 8, fitted on [0, 8]: below 3.1e-7 relative; saturates at |x| = 8,
// three steps below 1, so that 1 - tanh^2 never vanishes. T is float or simd.h's Vector.
template <class T>
HD T rational_tanh(T x) {
  const T b = clamp(x, T(-8.0f), T(8.0f));
  const T b2 = b * b;
  T p = fused(T(1.52308157893697e-08f), b2, T(2.18949422986746e-05f));
  p = fused(p, b2, T(3.57161492276267e-03f));
  p = fused(p, b2, T(1.34445121883899e-01f));
  p = fused(p, b2, T(9.99999993579699e-01f));
  T q = fused(T(8.52260715218581e-07f), b2, T(3.41131972613234e-04f));
  q = fused(q, b2, T(2.61645071567181e-02f));
  q = fused(q, b2, T(4.67778395120101e-01f));
  q = fused(q, b2, T(1.0f));
  return b * p / q;
}

HD float tanh_of(float x) { return rational_tanh(x); }

// x modulo m in [0, m) for m > 0: Python's %, not C's fmod, whose sign follows x.
HD float floor_modulo(float x, float m) {
  const float r = fused(-floor_of(x / m), m, x);
  return r < 0.0f ? r + m : (r >= m ? r - m : r);
}

// Angle in [-pi, pi).
HD float wrap_angle(float x) { return floor_modulo(x + kPi, kTwoPi) - kPi; }

}  // namespace stampede
