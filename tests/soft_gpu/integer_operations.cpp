// SPDX-License-Identifier: Apache-2.0
// Arithmetic of integers, which wraps around.
#include <algorithm>
#include <limits>

#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

template <class T>
struct Twice;
template <>
struct Twice<std::int16_t> {
  using type = std::int32_t;
};
template <>
struct Twice<std::uint16_t> {
  using type = std::uint32_t;
};
template <>
struct Twice<std::int32_t> {
  using type = std::int64_t;
};
template <>
struct Twice<std::uint32_t> {
  using type = std::uint64_t;
};
template <>
struct Twice<std::int64_t> {
  using type = __int128;
};
template <>
struct Twice<std::uint64_t> {
  using type = unsigned __int128;
};

// Unsigned arithmetic of at least the width of int: nothing overflows.
template <class T>
using Wrapping = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

template <class T>
struct Of {
  using W = Wrapping<T>;
  static W wrapping(T x) { return static_cast<W>(x); }

  struct Add {
    static T of(T a, T b) { return static_cast<T>(wrapping(a) + wrapping(b)); }
  };
  struct Subtract {
    static T of(T a, T b) { return static_cast<T>(wrapping(a) - wrapping(b)); }
  };
  struct MultiplyLow {
    static T of(T a, T b) { return static_cast<T>(wrapping(a) * wrapping(b)); }
  };
  struct MultiplyHigh {
    static T of(T a, T b) {
      using Wide = typename Twice<T>::type;
      return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b) >> (8 * sizeof(T)));
    }
  };
  struct MultiplyWide {
    static typename Twice<T>::type of(T a, T b) {
      using Wide = typename Twice<T>::type;
      return static_cast<Wide>(a) * static_cast<Wide>(b);
    }
  };
  struct MultiplyAdd {
    static T of(T a, T b, T c) { return static_cast<T>(wrapping(a) * wrapping(b) + wrapping(c)); }
  };
  struct MultiplyAddWide {
    using Wide = typename Twice<T>::type;
    static Wide of(T a, T b, Wide c) {
      return static_cast<Wide>(static_cast<std::uint64_t>(MultiplyWide::of(a, b)) + static_cast<std::uint64_t>(c));
    }
  };
  // A division by zero has an unspecified result.
  struct Divide {
    static T of(T a, T b) {
      if (b == 0) return static_cast<T>(-1);
      if (std::is_signed_v<T> && b == static_cast<T>(-1)) return Negate::of(a);
      return static_cast<T>(a / b);
    }
  };
  struct Remainder {
    static T of(T a, T b) {
      if (b == 0) return static_cast<T>(-1);
      if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
      return static_cast<T>(a % b);
    }
  };
  struct Negate {
    static T of(T a) { return static_cast<T>(W{0} - wrapping(a)); }
  };
  struct Absolute {
    static T of(T a) { return a < 0 ? Negate::of(a) : a; }
  };
  struct Minimum {
    static T of(T a, T b) { return a < b ? a : b; }
  };
  struct Maximum {
    static T of(T a, T b) { return a > b ? a : b; }
  };
};

template <class T>
void add_integer(Operations& table, const std::string& type) {
  table["add." + type] = binary<typename Of<T>::Add, T>();
  table["sub." + type] = binary<typename Of<T>::Subtract, T>();
  table["mul.lo." + type] = binary<typename Of<T>::MultiplyLow, T>();
  table["mul.hi." + type] = binary<typename Of<T>::MultiplyHigh, T>();
  table["mad.lo." + type] = ternary<typename Of<T>::MultiplyAdd, T>();
  table["div." + type] = binary<typename Of<T>::Divide, T>();
  table["rem." + type] = binary<typename Of<T>::Remainder, T>();
  table["min." + type] = binary<typename Of<T>::Minimum, T>();
  table["max." + type] = binary<typename Of<T>::Maximum, T>();
}

template <class T>
void add_signed(Operations& table, const std::string& type) {
  table["neg." + type] = unary<typename Of<T>::Negate, T, T>();
  table["abs." + type] = unary<typename Of<T>::Absolute, T, T>();
}

template <class T>
void add_wide(Operations& table, const std::string& type) {
  using Wide = typename Twice<T>::type;
  table["mul.wide." + type] = binary<typename Of<T>::MultiplyWide, Wide, T>();
  table["mad.wide." + type] = ternary<typename Of<T>::MultiplyAddWide, Wide, T>();
}

}  // namespace

Operations integer_operations() {
  Operations table;
  add_integer<std::int16_t>(table, "s16");
  add_integer<std::uint16_t>(table, "u16");
  add_integer<std::int32_t>(table, "s32");
  add_integer<std::uint32_t>(table, "u32");
  add_integer<std::int64_t>(table, "s64");
  add_integer<std::uint64_t>(table, "u64");
  add_signed<std::int16_t>(table, "s16");
  add_signed<std::int32_t>(table, "s32");
  add_signed<std::int64_t>(table, "s64");
  add_wide<std::int16_t>(table, "s16");
  add_wide<std::uint16_t>(table, "u16");
  add_wide<std::int32_t>(table, "s32");
  add_wide<std::uint32_t>(table, "u32");
  return table;
}

}  // namespace stampede::soft_gpu
