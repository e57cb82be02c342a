// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace stampede::soft_gpu {
namespace {

constexpr std::size_t kMemoryBytes = std::size_t{4} << 30;

// STAMPEDE_SOFT_GPU_ORDER: forward, backward or shuffled (which it is otherwise). STAMPEDE_SOFT_GPU_RACES=off: faster,
// and races go unnoticed.
Schedule schedule_from_environment() {
  const char* const name = std::getenv("STAMPEDE_SOFT_GPU_ORDER");
  const std::string_view wanted = name == nullptr ? "shuffled" : name;
  Schedule schedule;
  schedule.order = wanted == "forward"    ? Schedule::Order::kForward
                   : wanted == "backward" ? Schedule::Order::kBackward
                                          : Schedule::Order::kShuffled;
  const char* const races = std::getenv("STAMPEDE_SOFT_GPU_RACES");
  schedule.check_races = races == nullptr || std::string_view(races) != "off";
  schedule.host_threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  return schedule;
}

cudaError_t error_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::kOutOfBounds:
      return cudaErrorIllegalAddress;
    case Fault::Kind::kMisaligned:
      return cudaErrorMisalignedAddress;
    case Fault::Kind::kBadInstruction:
      return cudaErrorIllegalInstruction;
    default:
      return cudaErrorLaunchFailure;
  }
}

}  // namespace

Runtime& Runtime::get() {
  static Runtime* const runtime = new Runtime;
  return *runtime;
}

Context& Runtime::context() {
  if (context_ == nullptr) context_ = std::make_unique<Context>(kMemoryBytes, schedule_from_environment());
  return *context_;
}

void Runtime::reset() {
  const std::lock_guard lock(mutex_);
  context_.reset();
  lost_ = cudaSuccess;
  fault_.clear();
  last_error() = cudaSuccess;
}

cudaError_t& Runtime::last_error() {
  thread_local cudaError_t error = cudaSuccess;
  return error;
}

cudaError_t Runtime::lose(const Fault& fault) {
  fault_ = fault.what();
  std::fprintf(stderr, "soft GPU: %s\n", fault.what());
  return lost_ = error_of(fault.kind());
}

}  // namespace stampede::soft_gpu
