// SPDX-License-Identifier: Apache-2.0
// Executes kernels as a GPU does, in IEEE arithmetic, and finds what a GPU would forgive until it does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/soft_gpu/device_memory.h"
#include "tests/soft_gpu/fault.h"
#include "tests/soft_gpu/module.h"

namespace stampede::soft_gpu {

struct Launch {
  const Kernel* kernel = nullptr;
  unsigned grid = 1, block = 1;
  std::size_t dynamic_shared = 0;     // bytes
  std::vector<std::byte> parameters;  // laid out as Kernel::parameters says
};

// The order in which blocks of a launch, and warps between two barriers of a block, are executed.
struct Schedule {
  enum class Order { kForward, kBackward, kShuffled };
  Order order = Order::kForward;
  std::uint64_t seed = 0;     // of the shuffled order
  bool check_races = true;    // of global and shared memory
  unsigned host_threads = 1;  // kernels without atomics may execute blocks on several
};

struct Statistics {
  std::uint64_t instructions = 0;  // of warps
  std::uint64_t lane_instructions = 0;
};

// Returns when all threads have ended. Throws Fault; the memory is then as the threads left it.
Statistics run(const Launch& launch, DeviceMemory& memory, const Schedule& schedule);

}  // namespace stampede::soft_gpu
