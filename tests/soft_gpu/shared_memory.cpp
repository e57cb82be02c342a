// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/shared_memory.h"

#include <string>

#include "tests/soft_gpu/block.h"
#include "tests/soft_gpu/lane_access.h"
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

// The flags of a word that `mine` reads after `before`: other warps read it in this interval, other lanes in this
// epoch.
inline std::uint64_t earlier_readers(Stamp before, Stamp mine) {
  if (before.interval() != mine.interval()) return 0;
  std::uint64_t flags = before.bits & (Stamp::kManyPlaces | Stamp::kManyThreads);
  if (before.warp() != mine.warp()) return flags | Stamp::kManyPlaces | Stamp::kManyThreads;
  if (before.place() != mine.place()) return flags & ~Stamp::kManyThreads;
  return before.thread() == mine.thread() ? flags : flags | Stamp::kManyThreads;
}

// Whether a barrier is between another access and this one. Two threads of a warp are also kept apart by bar.warp.sync,
// which counts the epochs.
bool apart(Warp& warp, Stamp other, Stamp mine) {
  if (other.interval() < warp.block().first_interval() || other.thread() == mine.thread()) return true;
  if (other.warp() != mine.warp()) return other.interval() < warp.block().known(mine.warp(), other.warp());
  return other.interval() != mine.interval() || other.place() != mine.place();
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : bytes_(bytes), contents_((bytes + 63) / 64 * 64 + 64), history_(contents_.size() / 4) {}

inline void SharedMemory::check_read(Warp& warp, std::size_t index, Stamp mine, int lane, std::uint64_t many) {
  WordHistory& word = history_[index];
  const std::uint64_t written = word.writer.interval();
  if (written < warp.block().first_interval()) {
    warp.fault(Fault::Kind::kUninitialized, lane,
               "word " + std::to_string(4 * index) + " of shared memory was never written");
  }
  if (!warp.block().checks_races()) return;
  if (written >= warp.floor() && !apart(warp, word.writer, mine)) {
    warp.fault(Fault::Kind::kSharedRace, lane,
               "reads what thread " + std::to_string(word.writer.thread()) + " writes without a barrier between");
  }
  word.reader = mine.with(many | earlier_readers(word.reader, mine));
}

// False when another thread wrote the word without a barrier: harmless only when it wrote the same.
inline bool SharedMemory::check_write(Warp& warp, std::size_t index, Stamp mine, int lane) const {
  const Stamp reader = history_[index].reader, writer = history_[index].writer;
  if ((reader.interval() < warp.floor() && writer.interval() < warp.floor()) || !warp.block().checks_races())
    return true;
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

void SharedMemory::resolve(Warp& warp, const Op& op, LaneAccess& access) {
  const auto start = reinterpret_cast<std::uintptr_t>(contents_.data());
  std::byte* base = contents_.data() + (64 - start % 64) % 64;
  // One lane stands for all where they read the same word.
  const bool one_for_all = access.is_uniform && !access.is_write;
  const std::uint32_t lanes = one_for_all ? access.lanes & -access.lanes : access.lanes;
  const std::uint64_t many = lanes != access.lanes ? Stamp::kManyThreads : 0;
  for_lanes(lanes, [&](int lane) {
    const std::uint64_t at = access.address[lane];
    if (at + op.bytes > bytes_ || at > bytes_ || at % op.bytes != 0) report_address(warp, op, lane, at);
    access.pointer[lane] = base + at;
    const unsigned thread = warp.first_thread() + static_cast<unsigned>(lane);
    const Stamp mine = Stamp::of(warp.interval(), warp.epoch(), thread);
    for (std::size_t word = at / 4; word * 4 < at + op.bytes; ++word) {
      if (!access.is_write) {
        check_read(warp, word, mine, lane, many);
      } else {
        if (!check_write(warp, word, mine, lane)) access.rewritten |= 1u << lane;
        history_[word].writer = mine;
      }
    }
  });
}

void SharedMemory::report_address(Warp& warp, const Op& op, int lane, std::uint64_t at) const {
  if (at % op.bytes != 0) warp.fault(Fault::Kind::kMisaligned, lane, "shared address " + std::to_string(at));
  warp.fault(Fault::Kind::kOutOfBounds, lane,
             "shared memory ends at " + std::to_string(bytes_) + ", access at " + std::to_string(at));
}

}  // namespace stampede::soft_gpu
