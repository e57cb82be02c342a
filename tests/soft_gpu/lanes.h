// SPDX-License-Identifier: Apache-2.0
// Operations that every lane of a warp does for itself, from a function of one lane.
#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>

#include "tests/soft_gpu/packed.h"
#include "tests/soft_gpu/warp.h"

namespace stampede::soft_gpu {

// Registers of 8 to 32 bits lie in words, with the bits above zero.
template <class T>
using Stored = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

template <class T>
T from_register(Stored<T> bits) {
  if constexpr (sizeof(T) == sizeof(Stored<T>)) {
    return std::bit_cast<T>(bits);
  } else {
    return static_cast<T>(bits);
  }
}

template <class T>
Stored<T> to_register(T value) {
  if constexpr (sizeof(T) == sizeof(Stored<T>)) {
    return std::bit_cast<Stored<T>>(value);
  } else {
    return static_cast<std::make_unsigned_t<T>>(value);
  }
}

// Calls body(lane) for the lanes that execute. The loop over all lanes must be one that the compiler can vectorize.
template <class Body>
inline void for_lanes(std::uint32_t mask, const Body& body) {
  for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1) body(std::countr_zero(rest));
}

template <class F, class D, class A>
void map1(Warp& warp, const Op& op) {
  auto* d = warp.lanes<Stored<D>>(op.slot[0]);
  const auto* a = warp.lanes<Stored<A>>(op.slot[1]);
  const std::uint32_t mask = warp.mask;
  if (mask == kAllLanes) {
#pragma GCC ivdep
    for (int i = 0; i < kLanes; ++i) d[i] = to_register<D>(F::of(from_register<A>(a[i])));
    return;
  }
#pragma GCC ivdep
  for (int i = 0; i < kLanes; ++i) {
    const auto result = to_register<D>(F::of(from_register<A>(a[i])));
    d[i] = (mask >> i & 1) != 0 ? result : d[i];
  }
}

template <class F, class D, class A, class B>
void map2(Warp& warp, const Op& op) {
  auto* d = warp.lanes<Stored<D>>(op.slot[0]);
  const auto* a = warp.lanes<Stored<A>>(op.slot[1]);
  const auto* b = warp.lanes<Stored<B>>(op.slot[2]);
  const std::uint32_t mask = warp.mask;
  if (mask == kAllLanes) {
#pragma GCC ivdep
    for (int i = 0; i < kLanes; ++i) d[i] = to_register<D>(F::of(from_register<A>(a[i]), from_register<B>(b[i])));
    return;
  }
#pragma GCC ivdep
  for (int i = 0; i < kLanes; ++i) {
    const auto result = to_register<D>(F::of(from_register<A>(a[i]), from_register<B>(b[i])));
    d[i] = (mask >> i & 1) != 0 ? result : d[i];
  }
}

template <class F, class D, class A, class B, class C>
void map3(Warp& warp, const Op& op) {
  auto* d = warp.lanes<Stored<D>>(op.slot[0]);
  const auto* a = warp.lanes<Stored<A>>(op.slot[1]);
  const auto* b = warp.lanes<Stored<B>>(op.slot[2]);
  const auto* c = warp.lanes<Stored<C>>(op.slot[3]);
  const std::uint32_t mask = warp.mask;
  if (mask == kAllLanes) {
#pragma GCC ivdep
    for (int i = 0; i < kLanes; ++i) {
      d[i] = to_register<D>(F::of(from_register<A>(a[i]), from_register<B>(b[i]), from_register<C>(c[i])));
    }
    return;
  }
#pragma GCC ivdep
  for (int i = 0; i < kLanes; ++i) {
    const auto result = to_register<D>(F::of(from_register<A>(a[i]), from_register<B>(b[i]), from_register<C>(c[i])));
    d[i] = (mask >> i & 1) != 0 ? result : d[i];
  }
}

template <class F, class T>
void compare(Warp& warp, const Op& op) {
  const auto* a = warp.lanes<Stored<T>>(op.slot[1]);
  const auto* b = warp.lanes<Stored<T>>(op.slot[2]);
  std::uint8_t flags[kLanes];
  for (int i = 0; i < kLanes; ++i) flags[i] = F::of(from_register<T>(a[i]), from_register<T>(b[i])) ? 1 : 0;
  warp.set_predicate(op.slot[0], packed(flags));
}

// What the decoder needs of an operation whose operands are registers, constants and predicates in their order: one
// letter per operand, 'w' for up to 32 bits, 'd' for 64 bits, 'p' for a predicate.
struct Operation {
  Execute* execute = nullptr;
  std::string operands;
};
using Operations = std::map<std::string, Operation, std::less<>>;

template <class... T>
std::string letters() {
  return std::string{(sizeof(T) == 8 ? 'd' : 'w')...};
}

template <class F, class D, class A>
Operation unary() {
  return {&map1<F, D, A>, letters<D, A>()};
}
template <class F, class D, class A = D, class B = A>
Operation binary() {
  return {&map2<F, D, A, B>, letters<D, A, B>()};
}
template <class F, class D, class A = D, class B = A, class C = D>
Operation ternary() {
  return {&map3<F, D, A, B, C>, letters<D, A, B, C>()};
}
template <class F, class T>
Operation comparison() {
  return {&compare<F, T>, "p" + letters<T, T>()};
}

// The tables of the parts of the machine, by the full names of PTX: "fma.rn.f32".
Operations real_operations();
Operations integer_operations();
Operations bit_operations();
Operations comparison_operations();
Operations conversion_operations();
Operations move_operations();

}  // namespace stampede::soft_gpu
