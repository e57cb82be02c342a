// SPDX-License-Identifier: Apache-2.0
// log Gamma and its first two derivatives for x >= 1: the recurrence up to x >= 8, then Stirling's series (Abramowitz
// and Stegun 1964, equations 6.1.41, 6.3.18 and 6.4.12). Called, because an expression takes many of them.
#pragma once

#include "kernels/math.h"

namespace stampede {

inline constexpr int kGammaShift = 8;

HD_CALL float log_gamma(float x) {
  float product = 1.0f;
  for (int k = 0; k < kGammaShift; ++k) {
    product *= x < 8.0f ? x : 1.0f;
    x = x < 8.0f ? x + 1.0f : x;
  }
  const float inverse = 1.0f / x, square = inverse * inverse;
  const float series = inverse * (0.083333333333f + square * (-0.0027777777778f + square * 0.00079365079365f));
  return fused(x - 0.5f, log_of(x), -x) + 0.91893853320467274f + series - log_of(product);
}

HD_CALL float digamma(float x) {
  float sum = 0.0f;
  for (int k = 0; k < kGammaShift; ++k) {
    sum += x < 8.0f ? 1.0f / x : 0.0f;
    x = x < 8.0f ? x + 1.0f : x;
  }
  const float inverse = 1.0f / x, square = inverse * inverse;
  return log_of(x) - 0.5f * inverse -
         square * (0.083333333333f + square * (-0.0083333333333f + square * 0.003968253968f)) - sum;
}

HD_CALL float trigamma(float x) {
  float sum = 0.0f;
  for (int k = 0; k < kGammaShift; ++k) {
    sum += x < 8.0f ? 1.0f / (x * x) : 0.0f;
    x = x < 8.0f ? x + 1.0f : x;
  }
  const float inverse = 1.0f / x, square = inverse * inverse;
  return sum + inverse + 0.5f * square +
         square * inverse * (0.16666666667f + square * (-0.033333333333f + square * 0.023809523810f));
}

}  // namespace stampede
