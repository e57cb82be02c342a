// SPDX-License-Identifier: Apache-2.0
// PTX has as many registers as its compiler likes to name; a warp's register file should fit a cache of the host.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/soft_gpu/code.h"

namespace stampede::soft_gpu {

// Which slots of an instruction are registers that it reads or writes: bits of Op::slot.
struct SlotUses {
  std::uint32_t reads = 0, writes = 0;
};

enum class SlotKind : std::uint8_t { kNone, kFixed, kFixedWide, kWord, kWide };

// Gives registers that are never needed at the same time the same slot. uses: of every op; kinds: of every virtual
// slot, by its offset / 128. Fixed slots keep their value through the whole kernel.
void allocate_registers(Code& code, const std::vector<SlotUses>& uses, const std::vector<SlotKind>& kinds);

}  // namespace stampede::soft_gpu
