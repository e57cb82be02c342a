// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

struct Equal {
  static bool of(auto a, auto b) { return a == b; }
};
struct Less {
  static bool of(auto a, auto b) { return a < b; }
};
struct LessOrEqual {
  static bool of(auto a, auto b) { return a <= b; }
};
struct Greater {
  static bool of(auto a, auto b) { return a > b; }
};
struct GreaterOrEqual {
  static bool of(auto a, auto b) { return a >= b; }
};
struct Unequal {  // or not comparable
  static bool of(auto a, auto b) { return a != b; }
};
struct Different {  // and comparable
  static bool of(auto a, auto b) { return a < b || a > b; }
};
struct Unordered {
  static bool of(auto a, auto b) { return a != a || b != b; }
};
template <class F>
struct Negation {
  static bool of(auto a, auto b) { return !F::of(a, b); }
};

template <class T>
void add_integers(Operations& table, const std::string& type) {
  table["setp.eq." + type] = comparison<Equal, T>();
  table["setp.ne." + type] = comparison<Unequal, T>();
  table["setp.lt." + type] = comparison<Less, T>();
  table["setp.le." + type] = comparison<LessOrEqual, T>();
  table["setp.gt." + type] = comparison<Greater, T>();
  table["setp.ge." + type] = comparison<GreaterOrEqual, T>();
}

// The relations that end in u are true for NaN, the others are not.
template <class T>
void add_reals(Operations& table, const std::string& type) {
  add_integers<T>(table, type);
  table["setp.ne." + type] = comparison<Different, T>();
  table["setp.neu." + type] = comparison<Unequal, T>();
  table["setp.equ." + type] = comparison<Negation<Different>, T>();
  table["setp.ltu." + type] = comparison<Negation<GreaterOrEqual>, T>();
  table["setp.leu." + type] = comparison<Negation<Greater>, T>();
  table["setp.gtu." + type] = comparison<Negation<LessOrEqual>, T>();
  table["setp.geu." + type] = comparison<Negation<Less>, T>();
  table["setp.nan." + type] = comparison<Unordered, T>();
  table["setp.num." + type] = comparison<Negation<Unordered>, T>();
}

}  // namespace

Operations comparison_operations() {
  Operations table;
  for (const char* letter : {"u", "b"}) {
    add_integers<std::uint16_t>(table, letter + std::string("16"));
    add_integers<std::uint32_t>(table, letter + std::string("32"));
    add_integers<std::uint64_t>(table, letter + std::string("64"));
  }
  add_integers<std::int16_t>(table, "s16");
  add_integers<std::int32_t>(table, "s32");
  add_integers<std::int64_t>(table, "s64");
  add_reals<float>(table, "f32");
  add_reals<double>(table, "f64");
  return table;
}

}  // namespace stampede::soft_gpu
