// SPDX-License-Identifier: Apache-2.0
// A kernel as the machine executes it: instructions whose operands are places in a warp's registers.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace stampede::soft_gpu {

class Warp;
struct Op;
using Execute = void(Warp&, const Op&);

inline constexpr int kLanes = 32;
inline constexpr std::uint32_t kAllLanes = 0xFFFFFFFFu;

// Generic addresses of memory that is not global: an offset in one of these windows, which no pointer of a host is in.
inline constexpr std::uint64_t kSharedWindow = std::uint64_t{1} << 56;
inline constexpr std::uint64_t kLocalWindow = std::uint64_t{2} << 56;
inline constexpr std::uint64_t kParameterWindow = std::uint64_t{3} << 56;

// A slot holds one register of all lanes: its offset in the warp's register file, in bytes; or the number of a
// predicate, whose lanes are the bits of a word.
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = 0xFFFFFFFFu;

struct Op {
  Execute* execute = nullptr;
  std::array<Slot, 6> slot{kNoSlot, kNoSlot, kNoSlot, kNoSlot, kNoSlot, kNoSlot};  // the result first
  std::int64_t offset = 0;                                                         // added to an address
  std::uint32_t target = 0;  // of a branch; where the operands of a matrix product begin in Code::lists
  std::int32_t guard = -1;   // the predicate of lanes that execute it, or -1
  bool guard_negated = false;
  bool is_strong = false;   // a volatile access of global memory, which may meet others and atomic instructions
  std::uint8_t parts = 1;   // of a vector in memory
  std::uint16_t bytes = 0;  // of the whole access
  std::uint32_t used_bytes = 0xFFFFFFFFu;  // of a load: bits of bytes that the program looks at
  std::uint32_t line = 0;                  // of the PTX text
};

inline constexpr Slot kFalse = 0, kTrue = 1;  // predicates that are constants

struct Code {
  struct Constant {
    Slot slot;
    std::uint64_t value;
    bool wide;  // 64 bits
  };
  std::vector<Op> ops;
  std::vector<std::string_view> texts;  // of the ops, for messages
  std::vector<Slot> lists;
  std::vector<Constant> constants;
  std::size_t register_bytes = 0, predicates = 2;
  Slot thread = 0, threads = 0, block = 0, blocks = 0;  // %tid.x, %ntid.x, %ctaid.x, %nctaid.x
  bool has_atomics = false;
};

}  // namespace stampede::soft_gpu
