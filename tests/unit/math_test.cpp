// SPDX-License-Identifier: Apache-2.0
#include "kernels/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/simd.h"

namespace stampede {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

double ulp_of(double exact) {
  const float rounded = std::fabs(static_cast<float>(exact));
  return static_cast<double>(std::nextafter(rounded, kInfinity)) - static_cast<double>(rounded);
}

// The largest error of f against exact over [low, high], in units in the last place.
template <class F, class G>
double largest_ulp(double low, double high, F f, G exact) {
  double worst = 0.0;
  for (int i = 0; i <= 400000; ++i) {
    const float x = static_cast<float>(low + (high - low) * i / 400000.0);
    const double right = exact(static_cast<double>(x));
    worst = std::max(worst, std::fabs(static_cast<double>(f(x)) - right) / ulp_of(right));
  }
  return worst;
}

template <class F, class G>
double largest_error(double low, double high, F f, G exact) {
  double worst = 0.0;
  for (int i = 0; i <= 400000; ++i) {
    const float x = static_cast<float>(low + (high - low) * i / 400000.0);
    worst = std::max(worst, std::fabs(static_cast<double>(f(x)) - exact(static_cast<double>(x))));
  }
  return worst;
}

double sin_double(double x) { return std::sin(x); }
double cos_double(double x) { return std::cos(x); }

TEST(Math, SinAndCos) {
  const auto sin_float = [](float x) { return sin_cos(x).sin; };
  const auto cos_float = [](float x) { return sin_cos(x).cos; };
  EXPECT_LT(largest_ulp(-0.78, 0.78, sin_float, sin_double), 1.0);
  EXPECT_LT(largest_ulp(-0.78, 0.78, cos_float, cos_double), 1.3);
  EXPECT_LT(largest_error(-kPi, kPi, sin_float, sin_double), 1e-7);
  EXPECT_LT(largest_error(-kPi, kPi, cos_float, cos_double), 1e-7);
  EXPECT_LT(largest_error(-1e4, 1e4, sin_float, sin_double), 1e-7);
  EXPECT_LT(largest_error(-1e4, 1e4, cos_float, cos_double), 1e-7);
  EXPECT_EQ(sin_cos(0.0f).sin, 0.0f);
  EXPECT_EQ(sin_cos(0.0f).cos, 1.0f);
  EXPECT_TRUE(std::isnan(sin_cos(kNan).sin));
}

TEST(Math, Exp) {
  const auto exp_float = [](float x) { return exp_of(x); };
  EXPECT_LT(largest_ulp(-87.0, 88.0, exp_float, [](double x) { return std::exp(x); }), 2.0);
  EXPECT_LT(largest_ulp(-1.0, 1.0, exp_float, [](double x) { return std::exp(x); }), 1.5);
  EXPECT_EQ(exp_of(0.0f), 1.0f);
  EXPECT_TRUE(std::isfinite(exp_of(1000.0f)));
  EXPECT_GT(exp_of(-1000.0f), 0.0f);
  EXPECT_TRUE(std::isnan(exp_of(kNan)));
}

TEST(Math, Log) {
  const auto log_float = [](float x) { return log_of(x); };
  EXPECT_LT(largest_ulp(1e-3, 0.5, log_float, [](double x) { return std::log(x); }), 2.0);
  EXPECT_LT(largest_ulp(0.5, 2.0, log_float, [](double x) { return std::log(x); }), 2.0);
  EXPECT_LT(largest_ulp(2.0, 1e30, log_float, [](double x) { return std::log(x); }), 2.0);
  EXPECT_EQ(log_of(1.0f), 0.0f);
  EXPECT_EQ(log_of(0.0f), -kInfinity);
  EXPECT_EQ(log_of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(log_of(-1.0f)));
  EXPECT_TRUE(std::isnan(log_of(kNan)));
}

TEST(Math, TanhIsAccurateRelativeToItsValue) {
  double worst = 0.0;
  for (int i = 1; i <= 1000000; ++i) {
    const float x = static_cast<float>(i * 1e-5);
    const double right = std::tanh(static_cast<double>(x));
    worst = std::max(worst, std::fabs(static_cast<double>(tanh_of(x)) - right) / right);
    ASSERT_EQ(tanh_of(-x), -tanh_of(x));
    ASSERT_LT(tanh_of(x), 1.0f);
  }
  EXPECT_LT(worst, 3.1e-7);
  for (float x = 1e-30f; x < 1e-3f; x *= 1.7f) {
    EXPECT_LT(std::fabs(static_cast<double>(tanh_of(x)) - std::tanh(static_cast<double>(x))), 3.1e-7 * x);
  }
  EXPECT_EQ(tanh_of(0.0f), 0.0f);
  EXPECT_TRUE(std::isnan(tanh_of(kNan)));
}

TEST(Math, VectorTanhEqualsScalarTanhBitForBit) {
  for (int i = 0; i < 400000; i += kRowPadding) {
    alignas(64) float x[kRowPadding];
    for (int j = 0; j < kRowPadding; ++j) x[j] = static_cast<float>((i + j - 200000) * 5e-5);
    if (i == 0) x[3] = kNan;
    for (int j = 0; j < kRowPadding; j += Vector::kLanes) {
      alignas(64) float y[Vector::kLanes];
      rational_tanh(Vector::load(x + j)).store(y);
      for (int lane = 0; lane < Vector::kLanes; ++lane) {
        const float scalar = tanh_of(x[j + lane]);
        ASSERT_TRUE(float_bits(y[lane]) == float_bits(scalar) || (std::isnan(y[lane]) && std::isnan(scalar)));
      }
    }
  }
}

TEST(Math, ClampKeepsNan) {
  EXPECT_EQ(clamp(3.0f, -1.0f, 2.0f), 2.0f);
  EXPECT_EQ(clamp(-3.0f, -1.0f, 2.0f), -1.0f);
  EXPECT_EQ(clamp(0.5f, -1.0f, 2.0f), 0.5f);
  EXPECT_TRUE(std::isnan(clamp(kNan, -1.0f, 2.0f)));
}

TEST(Math, FloorModuloTakesTheDivisorsSign) {
  EXPECT_EQ(floor_modulo(-1.0f, 3.0f), 2.0f);
  EXPECT_EQ(floor_modulo(-3.0f, 3.0f), 0.0f);
  EXPECT_EQ(floor_modulo(7.0f, 3.0f), 1.0f);
  EXPECT_EQ(floor_modulo(0.0f, 3.0f), 0.0f);
  for (int i = -100000; i <= 100000; ++i) {
    const float r = floor_modulo(static_cast<float>(i) * 0.01f, kTwoPi);
    ASSERT_GE(r, 0.0f);
    ASSERT_LT(r, kTwoPi);
  }
}

TEST(Math, WrapAngleIsHalfOpenAtPi) {
  EXPECT_EQ(wrap_angle(kPi), -kPi);
  EXPECT_EQ(wrap_angle(-kPi), -kPi);
  EXPECT_EQ(wrap_angle(0.0f), 0.0f);
  EXPECT_NEAR(wrap_angle(-kPi - 0.5f), kPi - 0.5f, 1e-6f);
  EXPECT_NEAR(wrap_angle(3.0f * kPi + 0.25f), -kPi + 0.25f, 2e-6f);
}

}  // namespace
}  // namespace stampede
