// SPDX-License-Identifier: Apache-2.0
// Loads, stores and atomic instructions in all address spaces.
#include <atomic>
#include <cstring>

#include "tests/soft_gpu/block.h"
#include "tests/soft_gpu/lane_access.h"
#include "tests/soft_gpu/lanes.h"
#include "tests/soft_gpu/operations.h"

namespace stampede::soft_gpu {
namespace {

template <Space kSpace>
void read_addresses(Warp& warp, const Op& op, LaneAccess& access) {
  const auto offset = static_cast<std::uint64_t>(op.offset);
  access.lanes = warp.mask;
  if (op.slot[4] == kNoSlot) {
    for (int i = 0; i < kLanes; ++i) access.address[i] = offset;
    access.is_uniform = true;
    return;
  }
  using Register = std::conditional_t<kSpace == Space::kShared, std::uint32_t, std::uint64_t>;
  const auto* address = warp.lanes<Register>(op.slot[4]);
  const std::uint32_t mask = warp.mask;
  const std::uint64_t another = address[std::countr_zero(mask)] + offset;
  std::uint64_t differences = 0;
  for (int i = 0; i < kLanes; ++i) {
    access.address[i] = (mask >> i & 1) != 0 ? address[i] + offset : another;
    differences |= access.address[i] ^ another;
  }
  access.is_uniform = differences == 0;
}

void check_plain(Warp& warp, const Op& op, const LaneAccess& access, std::size_t size, const char* space) {
  const std::uint32_t checked = access.is_uniform ? access.lanes & -access.lanes : access.lanes;
  for_lanes(checked, [&](int i) {
    const std::uint64_t at = access.address[i];
    if (at > size || at + op.bytes > size) {
      warp.fault(Fault::Kind::kOutOfBounds, i,
                 std::string(space) + " ends at " + std::to_string(size) + ", access at " + std::to_string(at));
    }
    if (at % op.bytes != 0) {
      warp.fault(Fault::Kind::kMisaligned, i, std::string(space) + " address " + std::to_string(at));
    }
  });
}

void resolve_local(Warp& warp, const Op& op, LaneAccess& access) {
  check_plain(warp, op, access, warp.local_bytes(), "local memory");
  for_lanes(access.lanes, [&](int i) { access.pointer[i] = warp.local(i) + access.address[i]; });
}

void resolve_parameter(Warp& warp, const Op& op, LaneAccess& access) {
  const std::vector<std::byte>& parameters = warp.block().parameters();
  if (access.is_write) warp.fault(Fault::Kind::kOutOfBounds, 0, "parameters cannot be written");
  check_plain(warp, op, access, parameters.size(), "parameter memory");
  for_lanes(access.lanes,
            [&](int i) { access.pointer[i] = const_cast<std::byte*>(parameters.data()) + access.address[i]; });
}

void resolve_in(Space space, Warp& warp, const Op& op, LaneAccess& access) {
  if (space == Space::kGlobal) return warp.block().global().resolve(warp, op, access);
  if (space == Space::kShared) return warp.block().shared().resolve(warp, op, access);
  if (space == Space::kLocal) return resolve_local(warp, op, access);
  resolve_parameter(warp, op, access);
}

constexpr std::uint64_t kWindowBits = ~((std::uint64_t{1} << 56) - 1);

Space space_of(std::uint64_t address) {
  const std::uint64_t window = address & kWindowBits;
  return window == kSharedWindow      ? Space::kShared
         : window == kLocalWindow     ? Space::kLocal
         : window == kParameterWindow ? Space::kParameter
                                      : Space::kGlobal;
}

// Lanes whose addresses are in different spaces take turns.
void resolve_generic(Warp& warp, const Op& op, LaneAccess& access) {
  for (std::uint32_t rest = access.lanes; rest != 0;) {
    const std::uint64_t first = access.address[std::countr_zero(rest)];
    const Space space = space_of(first);
    const std::uint64_t window = space == Space::kGlobal ? 0 : first & kWindowBits;
    LaneAccess part;
    part.is_write = access.is_write;
    part.is_uniform = access.is_uniform;
    part.lanes = 0;
    for_lanes(rest, [&](int i) { part.lanes |= space_of(access.address[i]) == space ? 1u << i : 0; });
    for (int i = 0; i < kLanes; ++i) {
      part.address[i] = ((part.lanes >> i & 1) != 0 ? access.address[i] : first) - window;
    }
    resolve_in(space, warp, op, part);
    for_lanes(part.lanes, [&](int i) { access.pointer[i] = part.pointer[i]; });
    access.rewritten |= part.rewritten;
    rest &= ~part.lanes;
  }
}

template <Space kSpace>
void resolve(Warp& warp, const Op& op, LaneAccess& access) {
  read_addresses<kSpace>(warp, op, access);
  if constexpr (kSpace == Space::kGeneric) {
    resolve_generic(warp, op, access);
  } else {
    resolve_in(kSpace, warp, op, access);
  }
}

// Memory: how a value lies there, whose sign fills the register. Register: 32 or 64 bits.
template <Space kSpace, class Memory, class Register>
void load(Warp& warp, const Op& op) {
  LaneAccess access;
  resolve<kSpace>(warp, op, access);
  using Extended = std::conditional_t<std::is_signed_v<Memory>, std::make_signed_t<Register>, Register>;
  const auto value_at = [](const std::byte* place) {
    Memory value;
    std::memcpy(&value, place, sizeof value);
    return static_cast<Register>(static_cast<Extended>(value));
  };
  for (std::size_t part = 0; part < op.parts; ++part) {
    if (op.slot[part] == kNoSlot) continue;
    auto* to = warp.lanes<Register>(op.slot[part]);
    if (access.is_uniform && kSpace != Space::kLocal && kSpace != Space::kGeneric) {
      const Register value = value_at(access.pointer[std::countr_zero(access.lanes)] + part * sizeof(Memory));
      const std::uint32_t mask = access.lanes;
      for (int i = 0; i < kLanes; ++i) to[i] = (mask >> i & 1) != 0 ? value : to[i];
    } else {
      for_lanes(access.lanes, [&](int i) { to[i] = value_at(access.pointer[i] + part * sizeof(Memory)); });
    }
  }
}

template <Space kSpace, class Memory, class Register>
void store(Warp& warp, const Op& op) {
  LaneAccess access;
  access.is_write = true;
  resolve<kSpace>(warp, op, access);
  for (int part = 0; part < op.parts; ++part) {
    const auto* from = warp.lanes<Register>(op.slot[static_cast<std::size_t>(part)]);
    for_lanes(access.lanes, [&](int i) {
      const auto value = static_cast<Memory>(from[i]);
      std::byte* place = access.pointer[i] + static_cast<std::size_t>(part) * sizeof value;
      if ((access.rewritten >> i & 1) != 0 && std::memcmp(place, &value, sizeof value) != 0) {
        const auto kind = kSpace == Space::kShared ? Fault::Kind::kSharedRace : Fault::Kind::kGlobalRace;
        warp.fault(kind, i, "writes another value than another thread, and nothing orders the two");
      }
      std::memcpy(place, &value, sizeof value);
    });
  }
}

// Lane 8 m + r has the address of row r of matrix m. Lane 4 g + q gets columns 2 q and 2 q + 1 of row g of each matrix,
// or transposed: rows 2 q and 2 q + 1 of column g (PTX ISA, "ldmatrix").
template <bool kTransposed>
void load_matrices(Warp& warp, const Op& op) {
  if (!warp.meet(kAllLanes)) return;
  if (warp.mask != kAllLanes) warp.fault(Fault::Kind::kWarpSync, 0, "a lane of the warp takes no part");
  LaneAccess access;
  resolve<Space::kShared>(warp, op, access);
  std::uint16_t elements[4][8][8];
  for (int i = 0; i < kLanes; ++i) {
    std::memcpy(elements[i / 8][i % 8], access.pointer[access.is_uniform ? 0 : i], sizeof elements[0][0]);
  }
  for (std::size_t m = 0; m < 4; ++m) {
    auto* to = warp.lanes<std::uint32_t>(op.slot[m]);
    for (int i = 0; i < kLanes; ++i) {
      const int g = i / 4, k = 2 * (i % 4);
      const std::uint32_t low = kTransposed ? elements[m][k][g] : elements[m][g][k];
      const std::uint32_t high = kTransposed ? elements[m][k + 1][g] : elements[m][g][k + 1];
      to[i] = low | high << 16;
    }
  }
}

template <class F>
void atomic(Warp& warp, const Op& op) {
  LaneAccess access;
  access.is_write = access.is_atomic = true;
  resolve<Space::kGlobal>(warp, op, access);
  auto* old = warp.lanes<std::uint32_t>(op.slot[0]);
  const auto* operand = warp.lanes<std::uint32_t>(op.slot[1]);
  for_lanes(access.lanes, [&](int i) {
    if ((access.rewritten >> i & 1) != 0) {
      warp.fault(Fault::Kind::kGlobalRace, i, "another thread writes the word, and not atomically");
    }
    auto* word = reinterpret_cast<std::uint32_t*>(access.pointer[i]);
    const std::uint32_t before = *word, value = operand[i];  // the result may lie in the operand's register
    *word = F::of(before, value);
    old[i] = before;
  });
}

struct AtomicAdd {
  static std::uint32_t of(std::uint32_t a, std::uint32_t b) { return a + b; }
};
struct AtomicMinimum {
  static std::uint32_t of(std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }
};
struct AtomicMaximum {
  static std::uint32_t of(std::uint32_t a, std::uint32_t b) { return a > b ? a : b; }
};

template <Space kSpace, class Memory>
Execute* access_operation(bool is_store, bool wide) {
  if (is_store) return wide ? &store<kSpace, Memory, std::uint64_t> : &store<kSpace, Memory, std::uint32_t>;
  return wide ? &load<kSpace, Memory, std::uint64_t> : &load<kSpace, Memory, std::uint32_t>;
}

template <Space kSpace>
Execute* operation_on(std::string_view type, bool is_store, bool wide) {
  if (type == "s8") return access_operation<kSpace, std::int8_t>(is_store, wide);
  if (type == "s16") return access_operation<kSpace, std::int16_t>(is_store, wide);
  if (type == "s32") return access_operation<kSpace, std::int32_t>(is_store, wide);
  const std::string_view bits = type.substr(1);
  if (bits == "8") return access_operation<kSpace, std::uint8_t>(is_store, wide);
  if (bits == "16") return access_operation<kSpace, std::uint16_t>(is_store, wide);
  if (bits == "32") return access_operation<kSpace, std::uint32_t>(is_store, wide);
  if (bits == "64" && wide) return access_operation<kSpace, std::uint64_t>(is_store, wide);
  return nullptr;
}

Execute* operation_in(Space space, std::string_view type, bool is_store, bool wide) {
  switch (space) {
    case Space::kGeneric:
      return operation_on<Space::kGeneric>(type, is_store, wide);
    case Space::kGlobal:
      return operation_on<Space::kGlobal>(type, is_store, wide);
    case Space::kShared:
      return operation_on<Space::kShared>(type, is_store, wide);
    case Space::kLocal:
      return operation_on<Space::kLocal>(type, is_store, wide);
    case Space::kParameter:
      return operation_on<Space::kParameter>(type, is_store, wide);
  }
  return nullptr;
}

}  // namespace

Execute* load_operation(Space space, std::string_view type, bool wide) {
  return operation_in(space, type, false, wide);
}
Execute* store_operation(Space space, std::string_view type, bool wide) {
  return operation_in(space, type, true, wide);
}
Execute* matrix_load_operation(bool transposed) { return transposed ? &load_matrices<true> : &load_matrices<false>; }
Execute* atomic_operation(std::string_view kind) {
  if (kind == "add") return &atomic<AtomicAdd>;
  if (kind == "min") return &atomic<AtomicMinimum>;
  if (kind == "max") return &atomic<AtomicMaximum>;
  return nullptr;
}

}  // namespace stampede::soft_gpu
