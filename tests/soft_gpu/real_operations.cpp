// SPDX-License-Identifier: Apache-2.0
// Arithmetic of floats and doubles: IEEE, rounded to nearest, as the .rn instructions are defined.
#include <cmath>

#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

// Float instructions return this NaN, whatever the operands' were (PTX ISA, "Floating-point").
float canonical(float x) { return x != x ? std::bit_cast<float>(0x7FFFFFFFu) : x; }
double canonical(double x) { return x; }

struct Fma {
  static auto of(auto a, auto b, auto c) { return canonical(std::fma(a, b, c)); }
};
struct Add {
  static auto of(auto a, auto b) { return canonical(a + b); }
};
struct Subtract {
  static auto of(auto a, auto b) { return canonical(a - b); }
};
struct Multiply {
  static auto of(auto a, auto b) { return canonical(a * b); }
};
struct Divide {
  static auto of(auto a, auto b) { return canonical(a / b); }
};
struct Reciprocal {
  template <class T>
  static T of(T a) {
    return canonical(T{1} / a);
  }
};
struct SquareRoot {
  static auto of(auto a) { return canonical(std::sqrt(a)); }
};
struct Negate {
  static auto of(auto a) { return -a; }
};
struct Absolute {
  static auto of(auto a) { return std::fabs(a); }
};

// The operand that is a number, where the other is not; -0 is below +0.
struct Minimum {
  template <class T>
  static T of(T a, T b) {
    const T smaller = a < b || (a == b && std::signbit(a)) ? a : b;
    return canonical(a != a ? b : b != b ? a : smaller);
  }
};
struct Maximum {
  template <class T>
  static T of(T a, T b) {
    const T larger = a > b || (a == b && !std::signbit(a)) ? a : b;
    return canonical(a != a ? b : b != b ? a : larger);
  }
};

// The first terms of Lambert's continued fraction: relative error below 2^-11, the bound that PTX states.
struct ApproximateTanh {
  static float of(float x) {
    const float limit = 4.97f;
    const float y = x < -limit ? -limit : x > limit ? limit : x;
    const float z = y * y;
    const float above = y * (135135.0f + z * (17325.0f + z * (378.0f + z)));
    const float below = 135135.0f + z * (62370.0f + z * (3150.0f + z * 28.0f));
    return canonical(above / below);
  }
};

// Only the upper halves of operand and result count (PTX ISA, "rcp.approx.ftz.f64").
struct ApproximateReciprocal {
  static double upper(double x) { return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & 0xFFFFFFFF00000000u); }
  static double of(double x) { return upper(1.0 / upper(x)); }
};

template <class T>
void add_real(Operations& table, const std::string& type) {
  table["fma.rn." + type] = ternary<Fma, T>();
  // Not without .rn: a compiler may contract those, so they have no defined bits.
  table["add.rn." + type] = binary<Add, T>();
  table["sub.rn." + type] = binary<Subtract, T>();
  table["mul.rn." + type] = binary<Multiply, T>();
  table["div.rn." + type] = binary<Divide, T>();
  table["rcp.rn." + type] = unary<Reciprocal, T, T>();
  table["sqrt.rn." + type] = unary<SquareRoot, T, T>();
  table["neg." + type] = unary<Negate, T, T>();
  table["abs." + type] = unary<Absolute, T, T>();
  table["min." + type] = binary<Minimum, T>();
  table["max." + type] = binary<Maximum, T>();
}

}  // namespace

Operations real_operations() {
  Operations table;
  add_real<float>(table, "f32");
  add_real<double>(table, "f64");
  table["tanh.approx.f32"] = unary<ApproximateTanh, float, float>();
  table["rcp.approx.ftz.f64"] = unary<ApproximateReciprocal, double, double>();
  return table;
}

}  // namespace stampede::soft_gpu
