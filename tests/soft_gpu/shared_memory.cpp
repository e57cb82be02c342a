// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/shared_memory.h"

#include <string>

#include "tests/soft_gpu/block.h"
#include "tests/soft_gpu/lane_access.h"
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {

SharedMemory::SharedMemory(std::size_t bytes)
    : bytes_(bytes), contents_((bytes + 63) / 64 * 64 + 64), history_(contents_.size() / 4) {}

void SharedMemory::resolve(Warp& warp, const Op& op, LaneAccess& access) {
  const auto start = reinterpret_cast<std::uintptr_t>(contents_.data());
  std::byte* base = contents_.data() + (64 - start % 64) % 64;
  for_lanes(access.lanes, [&](int lane) {
    const std::uint64_t at = access.address[lane];
    if (at + op.bytes > bytes_ || at > bytes_) {
      warp.fault(Fault::Kind::kOutOfBounds, lane,
                 "shared memory ends at " + std::to_string(bytes_) + ", access at " + std::to_string(at));
    }
    if (at % op.bytes != 0) {
      warp.fault(Fault::Kind::kMisaligned, lane, "shared address " + std::to_string(at));
    }
    access.pointer[lane] = base + at;
    for (std::size_t word = at / 4; word * 4 < at + op.bytes; ++word) check_word(warp, word, lane, access);
  });
}

void SharedMemory::check_word(Warp& warp, std::size_t index, int lane, LaneAccess& access) {
  WordHistory& word = history_[index];
  const unsigned thread = warp.first_thread() + static_cast<unsigned>(lane);
  const Stamp mine = Stamp::of(warp.interval(), warp.epoch(), thread);
  if (access.is_write) {
    if (!check_write(warp, word, mine, lane)) access.rewritten |= 1u << lane;
    word.writer = mine;
    return;
  }
  if (word.writer.interval() < warp.block().first_interval()) {
    warp.fault(Fault::Kind::kUninitialized, lane,
               "word " + std::to_string(4 * index) + " of shared memory was never written");
  }
  check_read(warp, word, mine, lane);
}

// Whether a barrier is between another access and this one. Two threads of a warp are also kept apart by bar.warp.sync,
// which counts the epochs.
static bool apart(Warp& warp, Stamp other, Stamp mine) {
  if (other.interval() < warp.block().first_interval() || other.thread() == mine.thread()) return true;
  if (other.warp() != mine.warp()) return other.interval() < warp.block().known(mine.warp(), other.warp());
  return other.interval() != mine.interval() || other.place() != mine.place();
}

void SharedMemory::check_read(Warp& warp, WordHistory& word, Stamp mine, int lane) const {
  if (warp.block().checks_races() && !apart(warp, word.writer, mine)) {
    warp.fault(Fault::Kind::kSharedRace, lane,
               "reads what thread " + std::to_string(word.writer.thread()) + " writes without a barrier between");
  }
  const Stamp before = word.reader;
  std::uint64_t flags = 0;
  if (before.interval() == mine.interval()) {
    flags = before.bits & (Stamp::kManyPlaces | Stamp::kManyThreads);
    if (before.warp() != mine.warp()) flags |= Stamp::kManyPlaces;
    if (before.thread() != mine.thread()) flags |= Stamp::kManyThreads;
    if (before.warp() == mine.warp() && before.place() != mine.place()) flags &= ~Stamp::kManyThreads;
  }
  word.reader = mine.with(flags);
}

// False when another thread wrote the word without a barrier: harmless only when it wrote the same.
bool SharedMemory::check_write(Warp& warp, const WordHistory& word, Stamp mine, int lane) const {
  if (!warp.block().checks_races()) return true;
  const Stamp reader = word.reader;
  bool race = !apart(warp, reader, mine);
  if (reader.interval() == mine.interval()) {
    race = race || reader.many_places() || (reader.many_threads() && reader.place() == mine.place());
  }
  if (race) {
    warp.fault(Fault::Kind::kSharedRace, lane,
               "writes what thread " + std::to_string(reader.thread()) + " reads without a barrier between");
  }
  return apart(warp, word.writer, mine);
}

}  // namespace stampede::soft_gpu
