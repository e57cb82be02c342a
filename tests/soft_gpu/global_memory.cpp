// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/global_memory.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>

#include "tests/soft_gpu/block.h"
#include "tests/soft_gpu/lane_access.h"
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

std::string text_of(std::uint64_t address) {
  char text[40];
  std::snprintf(text, sizeof text, "global address 0x%llx", static_cast<unsigned long long>(address));
  return text;
}

// Blocks on other threads of the host look at the same words.
Stamp load(const Stamp& stamp) {
  return {std::atomic_ref(const_cast<std::uint64_t&>(stamp.bits)).load(std::memory_order_relaxed)};
}
void store(Stamp& to, Stamp stamp) { std::atomic_ref(to.bits).store(stamp.bits, std::memory_order_relaxed); }

// A writer's flag: it was an atomic instruction or a volatile store.
constexpr std::uint64_t kStrong = Stamp::kManyPlaces;
bool is_strong(Stamp writer) { return (writer.bits & kStrong) != 0; }

// The flags of a word that `mine` reads after `before` of the same launch: other blocks read it in this launch, other
// warps in this interval.
std::uint64_t earlier_readers(Stamp before, Stamp mine) {
  const std::uint64_t x = before.bits ^ mine.bits;
  const bool same_interval = x >> Stamp::kIntervalShift == 0;
  const std::uint64_t kept = before.bits & (same_interval ? Stamp::kFlagBits : Stamp::kManyPlaces);
  const std::uint64_t places = (x & Stamp::kPlaceBits) != 0 ? Stamp::kManyPlaces : 0;
  const std::uint64_t threads = same_interval && (x & Stamp::kWarpBits) != 0 ? Stamp::kManyThreads : 0;
  return kept | places | threads;
}

// Whether another lane writes the k-th word of this one in the same instruction.
bool just_written(const LaneAccess& access, const Op& op, Stamp writer, Stamp mine, std::size_t k) {
  if (writer.interval() != mine.interval() || writer.warp() != mine.warp() || writer.thread() == mine.thread()) {
    return false;
  }
  const unsigned other = writer.thread() % kLanes, lane = mine.thread() % kLanes;
  const std::uint64_t at = access.address[lane] + 4 * k;
  return (access.lanes >> other & 1) != 0 && at - access.address[other] < op.bytes;
}

}  // namespace

std::uint64_t LaunchHistory::seen(unsigned reader, unsigned writer) const {
  if (reader >= seen_.size()) return 0;
  const auto found = seen_[reader].find(writer);
  return found == seen_[reader].end() ? 0 : found->second;
}

void LaunchHistory::meet_at(std::uint64_t address, unsigned block, std::uint64_t fence) {
  std::map<unsigned, std::uint64_t>& published = published_[address];
  for (const auto& [writer, interval] : published) {
    std::uint64_t& known = seen_[block][writer];
    known = std::max(known, interval);
  }
  if (fence != 0) published[block] = fence + 1;
}

void GlobalMemory::resolve(Warp& warp, const Op& op, LaneAccess& access) {
  // One lane stands for all where they read the same word.
  const std::uint32_t all = access.lanes;
  if (access.is_uniform && !access.is_write) access.lanes &= -access.lanes;
  find(warp, op, access);
  if (!access.is_write || access.is_atomic) check_initialized(warp, op, access);
  if (access.is_write) mark_initialized(op, access);
  if (access.is_atomic) {
    for_lanes(access.lanes, [&](int i) { history_.meet_at(access.address[i], warp.block().index(), fence_); });
  }
  if (warp.block().checks_races() && op.bytes >= 4) check_races(warp, op, access);
  for (int i = 0; i < kLanes; ++i) access.pointer[i] = memory_.contents(access.address[i]);
  access.lanes = all;
}

void GlobalMemory::find(Warp& warp, const Op& op, const LaneAccess& access) {
  std::uint64_t low = access.address[0], high = access.address[0], bits = 0;
  for (int i = 0; i < kLanes; ++i) {
    low = std::min(low, access.address[i]);
    high = std::max(high, access.address[i]);
    bits |= access.address[i];
  }
  const std::uint64_t size = op.bytes;
  if ((bits & (size - 1)) != 0) {
    for_lanes(access.lanes, [&](int i) {
      if (access.address[i] % size != 0) warp.fault(Fault::Kind::kMisaligned, i, text_of(access.address[i]));
    });
  }
  DeviceMemory::Range& range = ranges_[op.line % kRanges];
  if (range.holds(low, high - low + size)) return;
  for_lanes(access.lanes, [&](int i) {
    if (!range.holds(access.address[i], size)) range = memory_.allocation_of(access.address[i]);
    if (!range.holds(access.address[i], size)) {
      warp.fault(Fault::Kind::kOutOfBounds, i, text_of(access.address[i]) + " is in no allocation");
    }
  });
}

void GlobalMemory::check_initialized(Warp& warp, const Op& op, const LaneAccess& access) const {
  for_lanes(access.lanes, [&](int i) {
    const std::uint64_t at = access.address[i];
    const std::uint8_t* flags = memory_.initialized(at);
    std::uint32_t needed = (op.bytes == 32 ? 0xFFFFFFFFu : (1u << op.bytes) - 1) & op.used_bytes;
    needed <<= at % 4;
    for (; needed != 0; needed >>= 4, ++flags) {
      if ((needed & 0xF & ~std::uint32_t{*flags}) == 0) continue;
      warp.fault(Fault::Kind::kUninitialized, i, text_of(at) + " was never written");
    }
  });
}

void GlobalMemory::mark_initialized(const Op& op, const LaneAccess& access) const {
  for_lanes(access.lanes, [&](int i) {
    const std::uint64_t at = access.address[i];
    std::uint8_t* flags = memory_.initialized(at);
    if (op.bytes < 4) {
      const auto bytes = static_cast<std::uint8_t>(((1u << op.bytes) - 1) << (at % 4));
      std::atomic_ref(*flags).fetch_or(bytes, std::memory_order_relaxed);
      return;
    }
    for (int word = 0; word < op.bytes / 4; ++word) flags[word] = 0xF;
  });
}

void GlobalMemory::check_races(Warp& warp, const Op& op, LaneAccess& access) const {
  const Stamp first = Stamp::of(warp.interval(), warp.block().index(), warp.first_thread());
  const Stamp launch = Stamp::of(history_.first_interval(), 0, 0);  // what is below came before the launch
  const bool strong = access.is_atomic || op.is_strong;
  for_lanes(access.lanes, [&](int i) {
    WordHistory* words = memory_.history(access.address[i]);
    const Stamp mine = first.of_lane(i);
    for (std::size_t k = 0; k < op.bytes / 4u; ++k) {
      WordHistory& word = words[k];
      const Stamp writer = load(word.writer), reader = load(word.reader);
      if (!access.is_write) {
        if (writer.bits >= launch.bits) check_read(warp, writer, mine, i, strong);
        // Later writes that are not strong pass unseen after strong reads.
        if (!strong) store(word.reader, mine.with(reader.bits < launch.bits ? 0 : earlier_readers(reader, mine)));
        continue;
      }
      if (reader.bits >= launch.bits) check_readers(warp, reader, mine, i);
      if (writer.bits >= launch.bits) {
        const bool contended = !(strong && is_strong(writer)) && !ordered(warp, writer, mine);
        if (contended || (!strong && just_written(access, op, writer, mine, k))) access.rewritten |= 1u << i;
      }
      store(word.writer, strong ? mine.with(kStrong) : mine);
    }
  });
}

// Whether another access of the launch came surely before: earlier in the same warp, before a barrier of the same
// block, or before an atomic instruction that this block has met.
bool GlobalMemory::ordered(Warp& warp, Stamp other, Stamp mine) const {
  if (other.interval() < history_.first_interval()) return true;
  if (other.place() == mine.place()) {
    return other.warp() == mine.warp() || other.interval() < warp.block().known(mine.warp(), other.warp());
  }
  return history_.seen(mine.place(), other.place()) > other.interval();
}

void GlobalMemory::check_read(Warp& warp, Stamp writer, Stamp mine, int lane, bool strong) const {
  if ((strong && is_strong(writer)) || ordered(warp, writer, mine)) return;
  warp.fault(Fault::Kind::kGlobalRace, lane,
             "reads what thread " + std::to_string(writer.thread()) + " of block " + std::to_string(writer.place()) +
                 " writes, and nothing orders them");
}

void GlobalMemory::check_readers(Warp& warp, Stamp reader, Stamp mine, int lane) const {
  bool race = !ordered(warp, reader, mine) || (reader.many_threads() && reader.interval() == mine.interval());
  if (reader.many_places()) race = race || !history_.sees_all(mine.place());
  if (!race) return;
  warp.fault(Fault::Kind::kGlobalRace, lane,
             "writes what thread " + std::to_string(reader.thread()) + " of block " + std::to_string(reader.place()) +
                 " reads, and nothing orders them");
}

}  // namespace stampede::soft_gpu
