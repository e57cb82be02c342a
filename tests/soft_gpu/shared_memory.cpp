// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/shared_memory.h"

#include <string>

#include "tests/soft_gpu/block.h"
#include "tests/soft_gpu/lane_access.h"
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

// The flags of a word that `mine` reads after `before`: other warps read it in this interval, other lanes in this
// epoch. Without branches, as it is computed for rows of words.
inline std::uint64_t earlier_readers(Stamp before, Stamp mine) {
  const std::uint64_t x = before.bits ^ mine.bits;
  const bool same_warp = (x & Stamp::kWarpBits) == 0, same_place = (x & Stamp::kPlaceBits) == 0;
  const bool same_thread = (x & Stamp::kThreadBits) == 0;
  const std::uint64_t kept = before.bits & (same_warp && !same_place ? Stamp::kManyPlaces : Stamp::kFlagBits);
  const std::uint64_t added = !same_warp ? Stamp::kFlagBits : same_thread || !same_place ? 0 : Stamp::kManyThreads;
  return x >> Stamp::kIntervalShift == 0 ? kept | added : 0;
}

// Whether a barrier is between another access and this one. Two threads of a warp are also kept apart by bar.warp.sync,
// which counts the epochs.
bool apart(Warp& warp, Stamp other, Stamp mine) {
  if (other.interval() < warp.block().first_interval() || other.thread() == mine.thread()) return true;
  if (other.warp() != mine.warp()) return other.interval() < warp.block().known(mine.warp(), other.warp());
  return other.interval() != mine.interval() || other.place() != mine.place();
}

// Full warps whose lanes use one piece of memory in their order.
bool is_row(const Op& op, const LaneAccess& access) {
  if (access.lanes != kAllLanes) return false;
  std::uint64_t differences = 0;
  for (std::uint64_t i = 0; i < kLanes; ++i) {
    differences |= access.address[i] ^ (access.address[0] + i * op.bytes);
  }
  return differences == 0;
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : bytes_(bytes),
      contents_((bytes + 63) / 64 * 64 + 64),
      writers_(contents_.size() / 4),
      readers_(writers_.size()) {}

void SharedMemory::resolve(Warp& warp, const Op& op, LaneAccess& access) {
  const auto start = reinterpret_cast<std::uintptr_t>(contents_.data());
  std::byte* base = contents_.data() + (64 - start % 64) % 64;
  std::uint64_t high = 0, bits = 0;
  for (int i = 0; i < kLanes; ++i) {
    high = access.address[i] > high ? access.address[i] : high;
    bits |= access.address[i];
    access.pointer[i] = base + access.address[i];
  }
  if (high + op.bytes > bytes_ || (bits & (op.bytes - 1u)) != 0) report_address(warp, op, access);
  if (op.bytes == 8) return check_words<2>(warp, op, access);
  if (op.bytes == 16) return check_words<4>(warp, op, access);
  check_words<1>(warp, op, access);
}

template <std::size_t kWords>
void SharedMemory::check_words(Warp& warp, const Op& op, LaneAccess& access) {
  const bool races = warp.block().checks_races();
  const Stamp first = Stamp::of(warp.interval(), warp.epoch(), warp.first_thread());
  if (is_row(op, access)) {
    const std::size_t word = access.address[0] / 4;
    if (access.is_write ? write_row<kWords>(warp, word, first) : read_row<kWords>(warp, word, first)) return;
  }
  if (!access.is_write) return read_lanes<kWords>(warp, first, access);
  for_lanes(access.lanes, [&](int lane) {
    const std::size_t word = access.address[lane] / 4;
    const Stamp mine = first.of_lane(lane);
    for (std::size_t k = 0; k < kWords; ++k) {
      if (races && !check_write(warp, word + k, mine, lane)) access.rewritten |= 1u << lane;
      writers_[word + k] = mine;
    }
  });
}

// One lane stands for all that read the same words.
template <std::size_t kWords>
void SharedMemory::read_lanes(Warp& warp, Stamp first, const LaneAccess& access) {
  std::uint32_t lanes = access.lanes, many = 0;
  if (access.is_uniform) {
    lanes &= -lanes;
    many = lanes != access.lanes ? lanes : 0;
  } else if (lanes == kAllLanes) {
    lanes &= ~repeated_lanes(access, many);
  }
  const std::uint64_t low = Stamp::of(warp.block().first_interval(), 0, 0).bits;
  const std::uint64_t span = Stamp::of(warp.floor(), 0, 0).bits - low;
  for_lanes(lanes, [&](int lane) {
    const std::size_t word = access.address[lane] / 4;
    const Stamp mine = first.of_lane(lane);
    std::uint64_t doubtful = 0;
    for (std::size_t k = 0; k < kWords; ++k) doubtful |= writers_[word + k].bits - low >= span ? 1u : 0u;
    if (doubtful != 0) {
      for (std::size_t k = 0; k < kWords; ++k) report_read(warp, word + k, mine, lane);
    }
    note_readers<kWords>(word, mine.with((many >> lane & 1) != 0 ? Stamp::kManyThreads : 0));
  });
}

// Words that are read together were mostly read together before.
template <std::size_t kWords>
void SharedMemory::note_readers(std::size_t first, Stamp mine) {
  const Stamp before = readers_[first];
  std::uint64_t differences = 0;
  for (std::size_t k = 1; k < kWords; ++k) differences |= readers_[first + k].bits ^ before.bits;
  if (differences == 0) {
    const std::uint64_t bits = mine.bits | earlier_readers(before, mine);
    for (std::size_t k = 0; k < kWords; ++k) readers_[first + k].bits = bits;
    return;
  }
  for (std::size_t k = 0; k < kWords; ++k) {
    readers_[first + k].bits = mine.bits | earlier_readers(readers_[first + k], mine);
  }
}

// The quick way where nothing is wrong; false, with nothing changed, where that is not sure.
template <std::size_t kWords>
bool SharedMemory::read_row(Warp& warp, std::size_t first, Stamp mine) {
  const Stamp low = Stamp::of(warp.block().first_interval(), 0, 0), high = Stamp::of(warp.floor(), 0, 0);
  const Stamp* writers = writers_.data() + first;
  Stamp* readers = readers_.data() + first;
  std::uint64_t doubtful = 0;
  for (std::size_t k = 0; k < kLanes * kWords; ++k) {
    doubtful |= writers[k].bits - low.bits >= high.bits - low.bits ? 1u : 0u;
  }
  if (doubtful != 0) return false;
#pragma GCC ivdep
  for (std::size_t k = 0; k < kLanes * kWords; ++k) {
    const Stamp reader = mine.of_lane(static_cast<int>(k / kWords));
    readers[k].bits = reader.bits | earlier_readers(readers[k], reader);
  }
  return true;
}

template <std::size_t kWords>
bool SharedMemory::write_row(Warp& warp, std::size_t first, Stamp mine) {
  const Stamp high = Stamp::of(warp.floor(), 0, 0);
  Stamp* writers = writers_.data() + first;
  const Stamp* readers = readers_.data() + first;
  std::uint64_t doubtful = 0;
  for (std::size_t k = 0; k < kLanes * kWords; ++k) {
    doubtful |= writers[k].bits >= high.bits || readers[k].bits >= high.bits ? 1u : 0u;
  }
  if (doubtful != 0) return false;
#pragma GCC ivdep
  for (std::size_t k = 0; k < kLanes * kWords; ++k) writers[k].bits = mine.of_lane(static_cast<int>(k / kWords)).bits;
  return true;
}

void SharedMemory::report_read(Warp& warp, std::size_t word, Stamp mine, int lane) const {
  const Stamp writer = writers_[word];
  if (writer.interval() < warp.block().first_interval()) {
    warp.fault(Fault::Kind::kUninitialized, lane,
               "word " + std::to_string(4 * word) + " of shared memory was never written");
  }
  if (warp.block().checks_races() && !apart(warp, writer, mine)) {
    warp.fault(Fault::Kind::kSharedRace, lane,
               "reads what thread " + std::to_string(writer.thread()) + " writes without a barrier between");
  }
}

// False when another thread wrote the word without a barrier: harmless only when it wrote the same.
bool SharedMemory::check_write(Warp& warp, std::size_t word, Stamp mine, int lane) const {
  const Stamp reader = readers_[word], writer = writers_[word];
  if (reader.interval() < warp.floor() && writer.interval() < warp.floor()) return true;
  bool race = !apart(warp, reader, mine);
  if (reader.interval() == mine.interval()) {
    race = race || reader.many_places() || (reader.many_threads() && reader.place() == mine.place());
  }
  if (race) {
    warp.fault(Fault::Kind::kSharedRace, lane,
               "writes what thread " + std::to_string(reader.thread()) + " reads without a barrier between");
  }
  return apart(warp, writer, mine);
}

void SharedMemory::report_address(Warp& warp, const Op& op, const LaneAccess& access) const {
  for_lanes(access.lanes, [&](int lane) {
    const std::uint64_t at = access.address[lane];
    if (at % op.bytes != 0) warp.fault(Fault::Kind::kMisaligned, lane, "shared address " + std::to_string(at));
    if (at > bytes_ || at + op.bytes > bytes_) {
      warp.fault(Fault::Kind::kOutOfBounds, lane,
                 "shared memory ends at " + std::to_string(bytes_) + ", access at " + std::to_string(at));
    }
  });
}

}  // namespace stampede::soft_gpu
