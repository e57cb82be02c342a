// SPDX-License-Identifier: Apache-2.0
// The shared memory of a block, with who used which word since the last barrier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/stamp.h"

namespace stampede::soft_gpu {

class Warp;
struct LaneAccess;

class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes);

  // Checks an access of the executing lanes and fills in where their bytes lie. Throws Fault.
  void resolve(Warp& warp, const Op& op, LaneAccess& access);

 private:
  template <std::size_t kWords>
  void check_words(Warp& warp, const Op& op, LaneAccess& access);
  template <std::size_t kWords>
  bool read_row(Warp& warp, std::size_t first, Stamp mine);
  template <std::size_t kWords>
  bool write_row(Warp& warp, std::size_t first, Stamp mine);
  template <std::size_t kWords>
  void read_lanes(Warp& warp, Stamp first, const LaneAccess& access);
  template <std::size_t kWords>
  void note_readers(std::size_t first, Stamp mine);
  void report_read(Warp& warp, std::size_t word, Stamp mine, int lane) const;
  bool check_write(Warp& warp, std::size_t word, Stamp mine, int lane) const;
  void report_address(Warp& warp, const Op& op, const LaneAccess& access) const;

  std::size_t bytes_;
  std::vector<std::byte> contents_;
  std::vector<Stamp> writers_, readers_;  // by word: the last ones
};

}  // namespace stampede::soft_gpu
