// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/work.h"

#include <cstring>

namespace stampede::soft_gpu {

bool reads_host(const Work& work, const void* memory, std::size_t bytes) {
  const Copy* const copy = std::get_if<Copy>(&work);
  if (copy == nullptr || copy->direction != Copy::Direction::kToDevice || !copy->staged.empty()) return false;
  const auto begin = reinterpret_cast<std::uint64_t>(memory);
  return copy->from < begin + bytes && begin < copy->from + copy->bytes;
}

void Executor::execute(const Work& work) {
  std::visit([this](const auto& kind) { perform(kind); }, work);
}

void Executor::perform(const Launch& launch) {
  const Statistics more = run(launch, memory_, schedule_);
  ++schedule_.seed;
  statistics_.instructions += more.instructions;
  statistics_.lane_instructions += more.lane_instructions;
}

void Executor::perform(const Copy& copy) {
  switch (copy.direction) {
    case Copy::Direction::kToDevice: {
      const std::byte* const from = copy.staged.empty() ? pinned_bytes(copy.from, copy.bytes) : copy.staged.data();
      std::memcpy(memory_.host_view(copy.to, copy.bytes, Access::kWrite), from, copy.bytes);
      return;
    }
    case Copy::Direction::kToHost: {
      const std::byte* const from = memory_.host_view(copy.from, copy.bytes, Access::kRead);
      std::memcpy(pinned_bytes(copy.to, copy.bytes), from, copy.bytes);
      return;
    }
    case Copy::Direction::kOnDevice:
      if (copy.to < copy.from + copy.bytes && copy.from < copy.to + copy.bytes) {
        throw Fault(Fault::Kind::kOutOfBounds, "a copy on the device between ranges that overlap");
      }
      memory_.copy(copy.to, copy.from, copy.bytes);
      return;
  }
}

void Executor::perform(const Fill& fill) {
  std::memset(memory_.host_view(fill.to, fill.bytes, Access::kWrite), fill.value, fill.bytes);
}

// Copies to pageable memory have ended when their call returns, so whatever a copy finds later must be page-locked
// still.
std::byte* Executor::pinned_bytes(std::uint64_t address, std::size_t bytes) const {
  auto* const memory = reinterpret_cast<std::byte*>(address);
  if (!pinned_.contains(memory, bytes)) {
    throw Fault(Fault::Kind::kOutOfBounds, "a copy's page-locked memory was freed before the copy had run");
  }
  return memory;
}

}  // namespace stampede::soft_gpu
