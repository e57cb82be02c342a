// SPDX-License-Identifier: Apache-2.0
// Operations whose operands the decoder arranges itself, because PTX gives them a form of their own.
#pragma once

#include <string_view>

#include "tests/soft_gpu/code.h"

namespace stampede::soft_gpu {

enum class Space { kGeneric, kGlobal, kShared, kLocal, kParameter };

// Slots: up to four values, then at slot[4] the address (kNoSlot: only Op::offset), which has 64 bits in all spaces but
// shared memory. type: of one part in memory. wide: the values' registers have 64 bits. nullptr when there is none.
Execute* load_operation(Space space, std::string_view type, bool wide);
Execute* store_operation(Space space, std::string_view type, bool wide);
// Four matrices of 8 x 8 elements of 16 bits from shared memory. Slots: four results, and at slot[4] the address of a
// row.
Execute* matrix_load_operation(bool transposed);
// Slots: result, operand, and at slot[4] the address. kind: "add" or "max", of u32.
Execute* atomic_operation(std::string_view kind);

// Slots: result, predicate of lanes that got another's value (kFalse: none), value, lane, clamp, member mask.
Execute* shuffle_operation(std::string_view kind);
// Slots: result, predicate, member mask.
void ballot(Warp&, const Op&);
// Slots: member mask.
void warp_barrier(Warp&, const Op&);
// d = a b + c for tiles of 16x16 and 16x8 bfloat16. Code::lists from Op::target: 4 slots of d, 4 of a, 2 of b, 4 of c.
void multiply_tiles(Warp&, const Op&);
// Slots: the barrier, and how many threads meet there.
void block_barrier(Warp&, const Op&);
void memory_fence(Warp&, const Op&);
void branch(Warp&, const Op&);  // to Op::target
void leave(Warp&, const Op&);

}  // namespace stampede::soft_gpu
