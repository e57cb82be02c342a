// SPDX-License-Identifier: Apache-2.0
// Copies, choices, and the step from one address space to another.
#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

struct Copy {
  static auto of(auto x) { return x; }
};
template <std::uint64_t kWindow>
struct ToGeneric {
  static std::uint64_t of(std::uint64_t x) { return x + kWindow; }
};
template <std::uint64_t kWindow>
struct FromGeneric {
  static std::uint64_t of(std::uint64_t x) { return x - kWindow; }
};

void move_predicate(Warp& warp, const Op& op) { warp.set_predicate(op.slot[0], warp.predicate(op.slot[1])); }

template <class T>
void select(Warp& warp, const Op& op) {
  auto* d = warp.lanes<T>(op.slot[0]);
  const auto *a = warp.lanes<T>(op.slot[1]), *b = warp.lanes<T>(op.slot[2]);
  const std::uint32_t choice = warp.predicate(op.slot[3]), mask = warp.mask;
#pragma GCC ivdep
  for (int i = 0; i < kLanes; ++i) {
    const T result = (choice >> i & 1) != 0 ? a[i] : b[i];
    d[i] = (mask >> i & 1) != 0 ? result : d[i];
  }
}

// mov.b64 {low, high}, both
void split_move(Warp& warp, const Op& op) {
  auto *low = warp.lanes<std::uint32_t>(op.slot[0]), *high = warp.lanes<std::uint32_t>(op.slot[1]);
  const auto* both = warp.lanes<std::uint64_t>(op.slot[2]);
  for_lanes(warp.mask, [&](int i) {
    const std::uint64_t value = both[i];
    low[i] = static_cast<std::uint32_t>(value);
    high[i] = static_cast<std::uint32_t>(value >> 32);
  });
}

// mov.b64 both, {low, high}
void join_move(Warp& warp, const Op& op) {
  auto* both = warp.lanes<std::uint64_t>(op.slot[0]);
  const auto *low = warp.lanes<std::uint32_t>(op.slot[1]), *high = warp.lanes<std::uint32_t>(op.slot[2]);
  for_lanes(warp.mask, [&](int i) { both[i] = std::uint64_t{high[i]} << 32 | low[i]; });
}

}  // namespace

Operations move_operations() {
  Operations table;
  const Operation word = unary<Copy, std::uint32_t, std::uint32_t>();
  const Operation wide = unary<Copy, std::uint64_t, std::uint64_t>();
  for (const char* type : {"b16", "u16", "s16", "b32", "u32", "s32", "f32"}) {
    table["mov." + std::string(type)] = word;
    table["selp." + std::string(type)] = {&select<std::uint32_t>, "wwwp"};
  }
  for (const char* type : {"b64", "u64", "s64", "f64"}) {
    table["mov." + std::string(type)] = wide;
    table["selp." + std::string(type)] = {&select<std::uint64_t>, "dddp"};
  }
  table["mov.pred"] = {&move_predicate, "pp"};
  table["mov.split"] = {&split_move, "wwd"};  // names of this machine: PTX writes braces
  table["mov.join"] = {&join_move, "dww"};
  table["cvta.to.global.u64"] = table["cvta.global.u64"] = wide;
  table["cvta.to.shared.u64"] = unary<FromGeneric<kSharedWindow>, std::uint64_t, std::uint64_t>();
  table["cvta.to.local.u64"] = unary<FromGeneric<kLocalWindow>, std::uint64_t, std::uint64_t>();
  table["cvta.to.param.u64"] = unary<FromGeneric<kParameterWindow>, std::uint64_t, std::uint64_t>();
  table["cvta.shared.u64"] = unary<ToGeneric<kSharedWindow>, std::uint64_t, std::uint64_t>();
  table["cvta.local.u64"] = unary<ToGeneric<kLocalWindow>, std::uint64_t, std::uint64_t>();
  table["cvta.param.u64"] = unary<ToGeneric<kParameterWindow>, std::uint64_t, std::uint64_t>();
  return table;
}

}  // namespace stampede::soft_gpu
