// SPDX-License-Identifier: Apache-2.0
#include "kernels/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string_view>

namespace stampede {
namespace {

// The number that follows a word in a file; with an empty word, the one it begins with.
std::optional<std::size_t> number_after(const std::string& path, std::string_view word) {
  std::ifstream file(path);
  std::string read;
  while (read != word && file >> read) {}
  std::size_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// What one control group leaves, where it has a limit: version 2 writes "max" where there is none.
std::optional<std::size_t> left_by_group(const std::string& folder, const char* limit, const char* usage,
                                         const char* reclaimable) {
  const auto most = number_after(folder + limit, "");
  const auto used = number_after(folder + usage, "");
  if (!most || !used) return std::nullopt;
  const std::size_t cache = number_after(folder + "memory.stat", reclaimable).value_or(0);
  const std::size_t held = *used - std::min(*used, cache);
  return *most - std::min(*most, held);
}

// The folder of this process's group below the mount point, as "0::/folder" (2) or "4:memory:/folder" (1) names it.
std::string group_folder(const std::string& root, std::string_view controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos || line.substr(first + 1, second - first - 1) != controller) continue;
    return line.substr(second + 1) + "/";
  }
  return "/";
}

}  // namespace

std::size_t available_host_memory(const std::string& root) {
  std::size_t available =
      static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  if (const auto kibibytes = number_after(root + "/proc/meminfo", "MemAvailable:")) available = *kibibytes * 1024;
  const auto consider = [&](std::optional<std::size_t> left) {
    available = std::min(available, left.value_or(available));
  };
  const std::string unified = root + "/sys/fs/cgroup", memory = unified + "/memory";
  // Inside a container the mount point itself is often the container's group.
  for (const std::string& folder : {std::string("/"), group_folder(root, "")}) {
    consider(left_by_group(unified + folder, "memory.max", "memory.current", "inactive_file"));
  }
  for (const std::string& folder : {std::string("/"), group_folder(root, "memory")}) {
    consider(left_by_group(memory + folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
  }
  return available;
}

}  // namespace stampede
