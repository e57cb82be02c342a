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
  void check_read(Warp& warp, std::size_t word, Stamp mine, int lane, std::uint64_t many);
  bool check_write(Warp& warp, std::size_t word, Stamp mine, int lane) const;
  [[noreturn]] void report_address(Warp& warp, const Op& op, int lane, std::uint64_t at) const;

  std::size_t bytes_;
  std::vector<std::byte> contents_;
  std::vector<WordHistory> history_;
};

}  // namespace stampede::soft_gpu
