// SPDX-License-Identifier: Apache-2.0
// What a launch may ask of a CUDA device.
#pragma once

#include <cstddef>

#include "kernels/device.h"

namespace stampede {

struct DeviceLimits {
  std::size_t shared_per_block = 0;  // bytes of dynamic shared memory
  int multiprocessors = 1;
};

// All zero and one for a CPU.
DeviceLimits device_limits(Device device);

}  // namespace stampede
