// SPDX-License-Identifier: Apache-2.0
// How much memory this process may still take: of the machine, and of the control group that a container gives it.
#pragma once

#include <cstddef>
#include <string>

namespace stampede {

// Bytes, counting what the kernel can take back from its file cache: the least of MemAvailable and what the memory
// limits of control groups (version 2 or 1) leave, where there are any. `root` stands before /proc and /sys.
std::size_t available_host_memory(const std::string& root = "");

}  // namespace stampede
