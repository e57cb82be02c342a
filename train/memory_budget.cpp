// SPDX-License-Identifier: Apache-2.0
#include "train/memory_budget.h"

#include <fstream>

#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {

void check_memory_budget(Device device, const MemoryBudget& budget) {
  const auto mebibytes = [](std::size_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20); };
  std::size_t total = 0;
  std::string parts;
  for (const auto& [name, bytes] : budget) {
    total += bytes;
    parts += (parts.empty() ? "" : ", ") + name + " " + mebibytes(bytes);
  }
  const std::size_t available = available_memory(device);
  if (total <= available) return;
  throw RuntimeError("the run needs " + mebibytes(total) + " MiB on " + std::string(device_name(device)) + " (" +
                     parts + ") but " + mebibytes(available) + " are available; lower num_envs or what is kept");
}

std::size_t peak_host_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes << 10;
  }
  return 0;
}

}  // namespace stampede
