// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/device_memory.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/soft_gpu/fault.h"

namespace stampede::soft_gpu {
namespace {

constexpr std::size_t kAlignment = 256, kRedZone = 256;
constexpr std::size_t kWindowPerCapacity = 16;  // so that freed addresses stay unused for long

std::size_t rounded_up(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::string hexadecimal(std::uint64_t address) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return text;
}

std::string range_text(std::uint64_t address, std::size_t bytes) {
  return std::to_string(bytes) + " bytes at " + hexadecimal(address);
}

}  // namespace

DeviceMemory::DeviceMemory(std::size_t capacity)
    : capacity_(capacity),
      window_(rounded_up(capacity) * kWindowPerCapacity, ReservedPages::Use::kNothing),
      storage_(window_.size(), ReservedPages::Use::kReadAndWrite),
      initialized_(window_.size() / 4, ReservedPages::Use::kReadAndWrite),
      history_(window_.size() / 4 * sizeof(WordHistory), ReservedPages::Use::kReadAndWrite),
      next_(window_begin() + kRedZone) {}

std::uint64_t DeviceMemory::find_gap(std::uint64_t from, std::uint64_t until, std::size_t bytes) const {
  std::uint64_t start = from;
  for (auto it = allocated_.lower_bound(from); it != allocated_.end() && it->first < until; ++it) {
    if (start + bytes <= it->first) return start;
    start = it->first + rounded_up(it->second) + kRedZone;
  }
  return start + bytes <= until ? start : 0;
}

std::uint64_t DeviceMemory::allocate(std::size_t bytes) {
  if (bytes == 0 || bytes > capacity_ - used_) return 0;
  const std::size_t space = rounded_up(bytes) + kRedZone;
  const std::uint64_t begin = window_begin() + kRedZone, end = window_begin() + window_.size();
  std::uint64_t address = find_gap(next_, end, space);
  if (address == 0) address = find_gap(begin, end, space);
  if (address == 0) return 0;
  allocated_[address] = bytes;
  used_ += bytes;
  next_ = address + space;
  return address;
}

void DeviceMemory::release(std::uint64_t address) {
  const auto found = allocated_.find(address);
  if (found == allocated_.end()) {
    throw Fault(Fault::Kind::kBadFree,
                "release of " + hexadecimal(address) + ", which is not the start of an allocation");
  }
  const std::size_t bytes = rounded_up(found->second), offset = address - window_begin();
  storage_.clear(offset, bytes);
  initialized_.clear(offset / 4, bytes / 4);
  history_.clear(offset / 4 * sizeof(WordHistory), bytes / 4 * sizeof(WordHistory));
  used_ -= found->second;
  allocated_.erase(found);
}

DeviceMemory::Range DeviceMemory::allocation_of(std::uint64_t address) const {
  auto after = allocated_.upper_bound(address);
  if (after == allocated_.begin()) return {};
  --after;
  const Range range{after->first, after->first + after->second};
  return range.holds(address, 1) ? range : Range{};
}

std::byte* DeviceMemory::host_view(std::uint64_t address, std::size_t bytes, Access access) {
  if (!allocation_of(address).holds(address, bytes)) {
    throw Fault(Fault::Kind::kOutOfBounds, range_text(address, bytes) + " are not in one allocation");
  }
  std::uint64_t missing = 0;
  if (access == Access::kWrite) mark_initialized(address, bytes);
  if (access == Access::kRead && !all_initialized(address, bytes, &missing)) {
    throw Fault(Fault::Kind::kUninitialized,
                range_text(address, bytes) + ": byte " + std::to_string(missing - address) + " was never written");
  }
  return contents(address);
}

void DeviceMemory::copy(std::uint64_t to, std::uint64_t from, std::size_t bytes) {
  std::byte* target = host_view(to, bytes, Access::kReadAny);
  const std::byte* source = host_view(from, bytes, Access::kReadAny);
  std::vector<bool> was_initialized(bytes);
  for (std::size_t i = 0; i < bytes; ++i) was_initialized[i] = *initialized(from + i) >> ((from + i) % 4) & 1;
  std::memmove(target, source, bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    std::uint8_t& flags = *initialized(to + i);
    const auto bit = static_cast<std::uint8_t>(1u << ((to + i) % 4));
    flags = was_initialized[i] ? flags | bit : flags & static_cast<std::uint8_t>(~bit);
  }
}

void DeviceMemory::mark_initialized(std::uint64_t address, std::size_t bytes) {
  std::uint64_t at = address;
  const std::uint64_t end = address + bytes;
  for (; at < end && at % 4 != 0; ++at) *initialized(at) |= static_cast<std::uint8_t>(1u << (at % 4));
  const std::size_t words = (end - at) / 4;
  if (words > 0) std::memset(initialized(at), 0xF, words);
  for (at += words * 4; at < end; ++at) *initialized(at) |= static_cast<std::uint8_t>(1u << (at % 4));
}

bool DeviceMemory::all_initialized(std::uint64_t address, std::size_t bytes, std::uint64_t* first_missing) const {
  for (std::uint64_t at = address; at < address + bytes;) {
    const std::uint8_t flags = *initialized(at);
    if (at % 4 == 0 && flags == 0xF) {
      at += 4;
      continue;
    }
    if ((flags >> (at % 4) & 1) == 0) {
      *first_missing = at;
      return false;
    }
    ++at;
  }
  return true;
}

}  // namespace stampede::soft_gpu
