// SPDX-License-Identifier: Apache-2.0
// The memory of the software GPU: device addresses that the host cannot dereference, and a record of what was written.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>

#include "tests/soft_gpu/reserved_pages.h"
#include "tests/soft_gpu/stamp.h"

namespace stampede::soft_gpu {

enum class Access {
  kRead,     // every byte must have been initialised
  kWrite,    // marks the bytes as initialised
  kReadAny,  // bytes that nobody has written are allowed
};

// Device addresses lie in a reserved window that the host can neither read nor write, so a host program that follows a
// device pointer ends with a segmentation fault. The contents lie elsewhere: host_view finds them. Addresses of freed
// allocations are not used again before the whole window was, so that a use after free is found.
// Thread-safe: allocate and release must not run while a kernel does; the rest may.
class DeviceMemory {
 public:
  // capacity: bytes that may be allocated at the same time; pages are committed when they are written.
  explicit DeviceMemory(std::size_t capacity);

  // The device address of a new allocation: a multiple of 256, with unused addresses after it. 0 when it does not fit.
  std::uint64_t allocate(std::size_t bytes);
  // Throws Fault for anything but the start of a living allocation.
  void release(std::uint64_t address);

  // Where the bytes of a range of device addresses lie in the host's memory. Throws Fault unless the whole range is in
  // one living allocation.
  std::byte* host_view(std::uint64_t address, std::size_t bytes, Access access);
  // Copies bytes and whether they are initialised. The ranges may overlap. Throws Fault as host_view does.
  void copy(std::uint64_t to, std::uint64_t from, std::size_t bytes);

  bool contains(const void* pointer) const { return in_window(reinterpret_cast<std::uint64_t>(pointer)); }
  std::size_t used() const { return used_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t allocations() const { return allocated_.size(); }

  // For the machine.
  struct Range {
    std::uint64_t begin = 0, end = 0;  // device addresses
    bool holds(std::uint64_t address, std::size_t bytes) const { return address >= begin && address + bytes <= end; }
  };
  bool in_window(std::uint64_t address) const { return address - window_begin() < window_.size(); }
  // The allocation that holds an address, or an empty range.
  Range allocation_of(std::uint64_t address) const;
  std::byte* contents(std::uint64_t address) const { return storage_.data() + (address - window_begin()); }
  // One byte per word of four bytes: bit i is set when byte i of the word is initialised.
  std::uint8_t* initialized(std::uint64_t address) const {
    return reinterpret_cast<std::uint8_t*>(initialized_.data()) + (address - window_begin()) / 4;
  }
  WordHistory* history(std::uint64_t address) const {
    return reinterpret_cast<WordHistory*>(history_.data()) + (address - window_begin()) / 4;
  }
  std::uint64_t next_interval() { return intervals_.fetch_add(1, std::memory_order_relaxed) + 1; }

 private:
  std::uint64_t window_begin() const { return reinterpret_cast<std::uint64_t>(window_.data()); }
  std::uint64_t find_gap(std::uint64_t from, std::uint64_t until, std::size_t bytes) const;
  void mark_initialized(std::uint64_t address, std::size_t bytes);
  bool all_initialized(std::uint64_t address, std::size_t bytes, std::uint64_t* first_missing) const;

  std::size_t capacity_, used_ = 0;
  ReservedPages window_, storage_, initialized_, history_;
  std::map<std::uint64_t, std::size_t> allocated_;  // by address
  std::uint64_t next_ = 0;
  std::atomic<std::uint64_t> intervals_{0};
};

}  // namespace stampede::soft_gpu
