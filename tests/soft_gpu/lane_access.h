// SPDX-License-Identifier: Apache-2.0
// One load or store of a warp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/packed.h"

namespace stampede::soft_gpu {

struct LaneAccess {
  bool is_write = false;
  bool is_atomic = false;
  bool is_uniform = false;                    // all lanes have the address of the first that takes part
  std::uint32_t lanes = 0;                    // that take part
  alignas(64) std::uint64_t address[kLanes];  // lanes that do not take part have one of another's
  alignas(64) std::byte* pointer[kLanes];     // where the bytes lie
  std::uint32_t rewritten = 0;                // lanes that write a word which another thread may just have written
};

// Of a load of all lanes: lanes that need no look because an earlier one, which `read_by_many` then names, has the same
// address. Looks where matrix products have theirs: the neighbour, and 8 and 16 lanes before.
inline std::uint32_t repeated_lanes(const LaneAccess& access, std::uint32_t& read_by_many) {
  std::uint32_t repeated = 0;
  read_by_many = 0;
  for (const int distance : {1, 8, 16}) {
    std::uint8_t same[kLanes] = {};
    for (int i = distance; i < kLanes; ++i) same[i] = access.address[i] == access.address[i - distance] ? 1 : 0;
    const std::uint32_t lanes = packed(same);
    repeated |= lanes;
    read_by_many |= lanes | lanes >> distance;
  }
  return repeated;
}

}  // namespace stampede::soft_gpu
