// SPDX-License-Identifier: Apache-2.0
// What a run's subsystems need, checked before any of it is taken.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device.h"

namespace stampede {

// Bytes by subsystem.
using MemoryBudget = std::vector<std::pair<std::string, std::size_t>>;

// Throws RuntimeError when the device has not that much memory: together, because parts that fit alone must not fill
// the machine one after another.
void check_memory_budget(Device device, const MemoryBudget& budget);

// The most bytes of host memory that this process had in use at once; 0 where the system does not say. Not what
// getrusage() reports, which counts the process that started this one.
std::size_t peak_host_memory();

}  // namespace stampede
