// SPDX-License-Identifier: Apache-2.0
// Logic, shifts and bit fields, of registers and of predicates.
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

struct And {
  static auto of(auto a, auto b) { return a & b; }
};
struct Or {
  static auto of(auto a, auto b) { return a | b; }
};
struct Xor {
  static auto of(auto a, auto b) { return a ^ b; }
};
struct Not {
  template <class T>
  static T of(T a) {
    return static_cast<T>(~a);
  }
};

template <class F>
void predicate_logic(Warp& warp, const Op& op) {
  warp.set_predicate(op.slot[0], F::of(warp.predicate(op.slot[1]), warp.predicate(op.slot[2])));
}
void predicate_not(Warp& warp, const Op& op) { warp.set_predicate(op.slot[0], ~warp.predicate(op.slot[1])); }

// Amounts beyond the width shift everything out.
struct ShiftLeft {
  template <class T>
  static T of(T a, std::uint32_t amount) {
    const T shifted = static_cast<T>(a << (amount & (8 * sizeof(T) - 1)));
    return amount >= 8 * sizeof(T) ? T{0} : shifted;
  }
};
struct ShiftRight {
  template <class T>
  static T of(T a, std::uint32_t amount) {
    constexpr std::uint32_t kBits = 8 * sizeof(T);
    if constexpr (std::is_signed_v<T>) {
      return static_cast<T>(a >> (amount >= kBits ? kBits - 1 : amount));
    } else {
      const T shifted = static_cast<T>(a >> (amount & (kBits - 1)));
      return amount >= kBits ? T{0} : shifted;
    }
  }
};

struct Reverse {
  static std::uint32_t of(std::uint32_t x) {
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0F0F0F0Fu) | (x & 0x0F0F0F0Fu) << 4;
    return __builtin_bswap32(x);
  }
};
struct LeadingZeros {
  static std::uint32_t of(auto x) { return static_cast<std::uint32_t>(std::countl_zero(x)); }
};
struct SetBits {
  static std::uint32_t of(auto x) { return static_cast<std::uint32_t>(std::popcount(x)); }
};
// How far to shift left so that the highest set bit is the first: all ones for zero.
struct FindShiftAmount {
  static std::uint32_t of(std::uint32_t x) {
    return x == 0 ? 0xFFFFFFFFu : static_cast<std::uint32_t>(std::countl_zero(x));
  }
};

// Each nibble of the selector chooses one of the eight bytes of {b, a}, or its sign for all bits.
struct Permute {
  static std::uint32_t of(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
    const std::uint64_t both = std::uint64_t{b} << 32 | a;
    std::uint32_t result = 0;
    for (int k = 0; k < 4; ++k) {
      const std::uint32_t choice = selector >> (4 * k) & 0xF;
      std::uint32_t byte = static_cast<std::uint32_t>(both >> (8 * (choice & 7))) & 0xFF;
      if (choice & 8) byte = byte & 0x80 ? 0xFF : 0;
      result |= byte << (8 * k);
    }
    return result;
  }
};

// b with `length` bits from `position` on replaced by the lowest bits of a.
template <class T>
void insert_bits(Warp& warp, const Op& op) {
  auto* d = warp.lanes<T>(op.slot[0]);
  const auto *a = warp.lanes<T>(op.slot[1]), *b = warp.lanes<T>(op.slot[2]);
  const auto *position = warp.lanes<std::uint32_t>(op.slot[3]), *length = warp.lanes<std::uint32_t>(op.slot[4]);
  for_lanes(warp.mask, [&](int i) {
    const std::uint32_t from = position[i] & 0xFF, count = length[i] & 0xFF;
    const T ones = ShiftRight::of(static_cast<T>(~T{0}), 8 * sizeof(T) - std::min<std::uint32_t>(count, 8 * sizeof(T)));
    const T field = ShiftLeft::of(ones, from);
    d[i] = (b[i] & ~field) | (ShiftLeft::of(a[i], from) & field);
  });
}

template <class T>
void add_logic(Operations& table, const std::string& type) {
  table["and." + type] = binary<And, T>();
  table["or." + type] = binary<Or, T>();
  table["xor." + type] = binary<Xor, T>();
  table["not." + type] = unary<Not, T, T>();
  table["shl." + type] = binary<ShiftLeft, T, T, std::uint32_t>();
}

template <class T>
void add_shift_right(Operations& table, const std::string& type) {
  table["shr." + type] = binary<ShiftRight, T, T, std::uint32_t>();
}

}  // namespace

Operations bit_operations() {
  Operations table;
  add_logic<std::uint16_t>(table, "b16");
  add_logic<std::uint32_t>(table, "b32");
  add_logic<std::uint64_t>(table, "b64");
  table["and.pred"] = {&predicate_logic<And>, "ppp"};
  table["or.pred"] = {&predicate_logic<Or>, "ppp"};
  table["xor.pred"] = {&predicate_logic<Xor>, "ppp"};
  table["not.pred"] = {&predicate_not, "pp"};
  add_shift_right<std::int16_t>(table, "s16");
  add_shift_right<std::uint16_t>(table, "u16");
  add_shift_right<std::int32_t>(table, "s32");
  add_shift_right<std::uint32_t>(table, "u32");
  add_shift_right<std::uint32_t>(table, "b32");
  add_shift_right<std::int64_t>(table, "s64");
  add_shift_right<std::uint64_t>(table, "u64");
  add_shift_right<std::uint64_t>(table, "b64");
  table["brev.b32"] = unary<Reverse, std::uint32_t, std::uint32_t>();
  table["clz.b32"] = unary<LeadingZeros, std::uint32_t, std::uint32_t>();
  table["clz.b64"] = unary<LeadingZeros, std::uint32_t, std::uint64_t>();
  table["popc.b32"] = unary<SetBits, std::uint32_t, std::uint32_t>();
  table["popc.b64"] = unary<SetBits, std::uint32_t, std::uint64_t>();
  table["bfind.shiftamt.u32"] = unary<FindShiftAmount, std::uint32_t, std::uint32_t>();
  table["prmt.b32"] = ternary<Permute, std::uint32_t>();
  table["bfi.b32"] = {&insert_bits<std::uint32_t>, "wwwww"};
  table["bfi.b64"] = {&insert_bits<std::uint64_t>, "dddww"};
  return table;
}

}  // namespace stampede::soft_gpu
