// SPDX-License-Identifier: Apache-2.0
// One load or store of a warp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/soft_gpu/code.h"

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

}  // namespace stampede::soft_gpu
