// SPDX-License-Identifier: Apache-2.0
// What a launch may ask of a CUDA device.
#pragma once

#include <cstddef>

#include "kernels/device.h"

namespace stampede {

struct DeviceLimits {
  std::size_t shared_per_block = 0;  // bytes, static and dynamic
  int multiprocessors = 1;

  // Whether a block may have so many bytes of dynamic shared memory, with up to 2 KiB of its own beside them.
  bool holds_block(std::size_t dynamic_bytes) const { return dynamic_bytes + 2 * 1024 <= shared_per_block; }
};

// All zero and one for a CPU.
DeviceLimits device_limits(Device device);

}  // namespace stampede
