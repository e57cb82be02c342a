// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/soft_gpu/code.h"

namespace stampede::soft_gpu {

// Bit i is set when flags[i] is 1 (all are 0 or 1).
inline std::uint32_t packed(const std::uint8_t (&flags)[kLanes]) {
  std::uint32_t bits = 0;
  for (int part = 0; part < 4; ++part) {
    std::uint64_t eight;
    __builtin_memcpy(&eight, flags + 8 * part, 8);
    bits |= static_cast<std::uint32_t>(eight * 0x0102040810204080u >> 56) << (8 * part);
  }
  return bits;
}

}  // namespace stampede::soft_gpu
