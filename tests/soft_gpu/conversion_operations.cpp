// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

template <class To>
struct Convert {
  static To of(auto x) { return static_cast<To>(x); }
};

// Reals to integers: toward zero, held in the integer's range; 0 for NaN.
template <class To>
struct Truncate {
  template <class From>
  static To of(From x) {
    constexpr From kBelow = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From kAbove = -static_cast<From>(std::numeric_limits<std::make_signed_t<To>>::min()) *
                            (std::is_signed_v<To> ? From{1} : From{2});
    if (!(x == x)) return 0;
    if (x <= kBelow) return std::numeric_limits<To>::min();
    if (x >= kAbove) return std::numeric_limits<To>::max();
    return static_cast<To>(x);
  }
};

struct Floor {
  static auto of(auto x) { return std::floor(x); }
};
struct TowardZero {
  static auto of(auto x) { return std::trunc(x); }
};

// Two floats as bfloat16, to nearest even, the first operand in the upper half.
struct PackBfloat16 {
  static std::uint32_t rounded(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t nearest = (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
    return x != x ? 0x7FFFu : nearest;
  }
  static std::uint32_t of(float upper, float lower) { return rounded(upper) << 16 | rounded(lower); }
};

template <class To, class From>
void add_conversion(Operations& table, const std::string& types) {
  table["cvt." + types] = unary<Convert<To>, To, From>();
}

template <class To>
void add_to_integer(Operations& table, const std::string& type) {
  table["cvt.rzi." + type + ".f32"] = unary<Truncate<To>, To, float>();
  table["cvt.rzi." + type + ".f64"] = unary<Truncate<To>, To, double>();
  table["cvt.rn.f32." + type] = unary<Convert<float>, float, To>();
  table["cvt.rn.f64." + type] = unary<Convert<double>, double, To>();
}

template <class From>
void add_from_integer(Operations& table, const std::string& type) {
  add_conversion<std::int16_t, From>(table, "s16." + type);
  add_conversion<std::uint16_t, From>(table, "u16." + type);
  add_conversion<std::int32_t, From>(table, "s32." + type);
  add_conversion<std::uint32_t, From>(table, "u32." + type);
  add_conversion<std::int64_t, From>(table, "s64." + type);
  add_conversion<std::uint64_t, From>(table, "u64." + type);
}

}  // namespace

Operations conversion_operations() {
  Operations table;
  add_from_integer<std::int8_t>(table, "s8");
  add_from_integer<std::uint8_t>(table, "u8");
  add_from_integer<std::int16_t>(table, "s16");
  add_from_integer<std::uint16_t>(table, "u16");
  add_from_integer<std::int32_t>(table, "s32");
  add_from_integer<std::uint32_t>(table, "u32");
  add_from_integer<std::int64_t>(table, "s64");
  add_from_integer<std::uint64_t>(table, "u64");
  add_to_integer<std::int32_t>(table, "s32");
  add_to_integer<std::uint32_t>(table, "u32");
  add_to_integer<std::int64_t>(table, "s64");
  add_to_integer<std::uint64_t>(table, "u64");
  add_conversion<double, float>(table, "f64.f32");
  add_conversion<float, double>(table, "rn.f32.f64");
  table["cvt.rmi.f32.f32"] = unary<Floor, float, float>();
  table["cvt.rmi.f64.f64"] = unary<Floor, double, double>();
  table["cvt.rzi.f32.f32"] = unary<TowardZero, float, float>();
  table["cvt.rzi.f64.f64"] = unary<TowardZero, double, double>();
  table["cvt.rn.bf16x2.f32"] = binary<PackBfloat16, std::uint32_t, float, float>();
  return table;
}

}  // namespace stampede::soft_gpu
