// SPDX-License-Identifier: Apache-2.0
// What a stream does: kernels, copies and fills, with everything they need but the memory they work on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "tests/soft_gpu/machine.h"
#include "tests/soft_gpu/runtime/pinned_memory.h"

namespace stampede::soft_gpu {

struct Copy {
  enum class Direction { kToDevice, kToHost, kOnDevice };
  Direction direction{};
  std::uint64_t to = 0, from = 0;  // addresses of the device or of the host
  std::size_t bytes = 0;
  std::vector<std::byte> staged{};  // what is copied to the device from pageable memory, as it was at the call
};

struct Fill {
  std::uint64_t to = 0;
  int value = 0;  // of every byte
  std::size_t bytes = 0;
};

using Work = std::variant<Launch, Copy, Fill>;
// Work in the order in which it runs; shared because a graph may be launched again before it has run.
using WorkList = std::shared_ptr<const std::vector<Work>>;

// Does the work read any of these bytes of the host when it runs?
bool reads_host(const Work& work, const void* memory, std::size_t bytes);

// Executes work on a device's memory. Every launch gets another order of its blocks.
class Executor {
 public:
  Executor(DeviceMemory& memory, const PinnedMemory& pinned, const Schedule& schedule)
      : memory_(memory), pinned_(pinned), schedule_(schedule) {}

  // Throws Fault.
  void execute(const Work& work);

  Schedule& schedule() { return schedule_; }
  const Statistics& statistics() const { return statistics_; }

 private:
  void perform(const Launch& launch);
  void perform(const Copy& copy);
  void perform(const Fill& fill);
  std::byte* pinned_bytes(std::uint64_t address, std::size_t bytes) const;

  DeviceMemory& memory_;
  const PinnedMemory& pinned_;
  Schedule schedule_;
  Statistics statistics_;
};

}  // namespace stampede::soft_gpu
