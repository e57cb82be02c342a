// SPDX-License-Identifier: Apache-2.0
// Instructions in which the lanes of a warp, or the warps of a block, work together.
#include <cmath>
#include <cstring>
#include <string>

#include "tests/soft_gpu/block.h"
#include "tests/soft_gpu/lanes.h"
#include "tests/soft_gpu/operations.h"

namespace stampede::soft_gpu {
namespace {

// Whether all lanes have come that the executing lanes' member masks name. Every lane must name itself, and all lanes
// that it names must have the same mask.
bool members_met(Warp& warp, Slot slot) {
  const auto* members = warp.lanes<std::uint32_t>(slot);
  std::uint32_t wanted = 0;
  for_lanes(warp.mask, [&](int i) {
    wanted |= members[i];
    if ((members[i] >> i & 1) == 0) warp.fault(Fault::Kind::kWarpSync, i, "its member mask does not name the lane");
  });
  if (!warp.meet(wanted)) return false;
  for_lanes(warp.mask, [&](int i) {
    for_lanes(members[i] & warp.living(), [&](int other) {
      if (members[other] != members[i]) warp.fault(Fault::Kind::kWarpSync, i, "member masks of lanes differ");
    });
  });
  return true;
}

// The lane whose value a lane gets; -1 for its own (PTX ISA, "shfl.sync"). clamp: bits 0-4 a bound within the segment
// that bits 8-12 choose.
struct Down {
  static int source(int lane, int by, int last, int) { return lane + by <= last ? lane + by : -1; }
};
struct Up {
  static int source(int lane, int by, int last, int) { return lane - by >= last ? lane - by : -1; }
};
struct Butterfly {
  static int source(int lane, int by, int last, int) { return (lane ^ by) <= last ? lane ^ by : -1; }
};
struct Index {
  static int source(int, int by, int last, int first) { return (first | by) <= last ? first | by : -1; }
};

template <class F>
void shuffle(Warp& warp, const Op& op) {
  if (!members_met(warp, op.slot[5])) return;
  std::uint32_t value[kLanes], in_range = 0;
  std::memcpy(value, warp.lanes<std::uint32_t>(op.slot[2]), sizeof value);
  auto* to = warp.lanes<std::uint32_t>(op.slot[0]);
  const auto *by = warp.lanes<std::uint32_t>(op.slot[3]), *clamp = warp.lanes<std::uint32_t>(op.slot[4]);
  const auto* members = warp.lanes<std::uint32_t>(op.slot[5]);
  for_lanes(warp.mask, [&](int i) {
    const int segment = static_cast<int>(clamp[i] >> 8 & 31), bound = static_cast<int>(clamp[i] & 31);
    const int last = (i & segment) | (bound & ~segment);
    const int amount = static_cast<int>(by[i] & 31);
    const bool is_index = std::is_same_v<F, Index>;
    const int source = F::source(i, is_index ? amount & ~segment : amount, last, i & segment);
    if (source >= 0) in_range |= 1u << i;
    const int from = source < 0 ? i : source;
    if ((warp.mask & members[i] & 1u << from) == 0) {
      warp.fault(Fault::Kind::kWarpSync, i, "gets the value of lane " + std::to_string(from) + ", which takes no part");
    }
    to[i] = value[from];
  });
  if (op.slot[1] != kFalse) warp.set_predicate(op.slot[1], in_range);
}

// Two bfloat16 of a word, the lower one first.
void unpack(std::uint32_t word, float& low, float& high) {
  low = std::bit_cast<float>(word << 16);
  high = std::bit_cast<float>(word & 0xFFFF0000u);
}

struct Tiles {
  float a[16][16], b[16][8], c[16][8];
};

// Lane 4 g + t holds rows g and g + 8, columns 2 t, 2 t + 1 and those + 8 (PTX ISA, "Matrix fragments for
// mma.m16n8k16").
void gather_tiles(Warp& warp, const Slot* slots, Tiles& tiles) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int r = 0; r < 4; ++r) {
      float* row = tiles.a[g + 8 * (r & 1)] + t + 8 * (r >> 1);
      unpack(warp.lanes<std::uint32_t>(slots[4 + r])[lane], row[0], row[1]);
    }
    for (int r = 0; r < 2; ++r) {
      const int k = t + 8 * r;
      unpack(warp.lanes<std::uint32_t>(slots[8 + r])[lane], tiles.b[k][g], tiles.b[k + 1][g]);
    }
    for (int r = 0; r < 4; ++r) {
      tiles.c[g + 8 * (r >> 1)][t + (r & 1)] = std::bit_cast<float>(warp.lanes<std::uint32_t>(slots[10 + r])[lane]);
    }
  }
}

}  // namespace

Execute* shuffle_operation(std::string_view kind) {
  if (kind == "down") return &shuffle<Down>;
  if (kind == "up") return &shuffle<Up>;
  if (kind == "bfly") return &shuffle<Butterfly>;
  if (kind == "idx") return &shuffle<Index>;
  return nullptr;
}

void ballot(Warp& warp, const Op& op) {
  if (!members_met(warp, op.slot[2])) return;
  auto* to = warp.lanes<std::uint32_t>(op.slot[0]);
  const auto* members = warp.lanes<std::uint32_t>(op.slot[2]);
  const std::uint32_t votes = warp.predicate(op.slot[1]) & warp.mask;
  for_lanes(warp.mask, [&](int i) { to[i] = votes & members[i]; });
}

void warp_barrier(Warp& warp, const Op& op) {
  if (members_met(warp, op.slot[0])) warp.next_epoch();
}

// Products are summed in the order of k; hardware may use any.
void multiply_tiles(Warp& warp, const Op& op) {
  if (!warp.meet(kAllLanes)) return;
  if (warp.mask != kAllLanes) warp.fault(Fault::Kind::kWarpSync, 0, "a lane of the warp takes no part");
  const Slot* slots = warp.code().lists.data() + op.target;
  Tiles tiles;
  gather_tiles(warp, slots, tiles);
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      const float a = tiles.a[row][k];
      for (int n = 0; n < 8; ++n) tiles.c[row][n] = std::fma(a, tiles.b[k][n], tiles.c[row][n]);
    }
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int r = 0; r < 4; ++r) {
      warp.lanes<std::uint32_t>(slots[r])[lane] = std::bit_cast<std::uint32_t>(tiles.c[g + 8 * (r >> 1)][t + (r & 1)]);
    }
  }
}

void block_barrier(Warp& warp, const Op& op) {
  const auto first = static_cast<std::size_t>(std::countr_zero(warp.mask));
  const unsigned number = warp.lanes<std::uint32_t>(op.slot[0])[first];
  const unsigned threads = warp.lanes<std::uint32_t>(op.slot[1])[first];
  warp.wait_at_barrier(number, threads);
}

void memory_fence(Warp& warp, const Op&) { warp.block().global().fence(warp.interval()); }

void branch(Warp& warp, const Op& op) { warp.branch(op.target); }

void leave(Warp& warp, const Op&) { warp.leave(); }

}  // namespace stampede::soft_gpu
