// SPDX-License-Identifier: Apache-2.0
#include "kernels/arena.h"

#include <algorithm>

#include "kernels/error.h"

namespace stampede {
namespace {

constexpr std::size_t kArenaAlignment = 64;  // a cache line and an AVX-512 register

std::string mebibytes(std::size_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

}  // namespace

void Arena::allocate(const std::string& what) {
  const std::size_t available = available_memory(device_);
  if (used_ > available) {
    throw RuntimeError(what + " needs " + mebibytes(used_) + " on " + std::string(device_name(device_)) + " but " +
                       mebibytes(available) + " are available");
  }
  memory_ = Buffer<std::byte>(device_, std::max(used_, kArenaAlignment));  // an empty one is not measuring any more
  used_ = 0;
}

std::byte* Arena::take_bytes(std::size_t bytes) {
  const std::size_t offset = used_;
  used_ += (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
  // Not null, because constructors add offsets to what they take.
  if (measuring()) return reinterpret_cast<std::byte*>(kArenaAlignment + offset);
  if (used_ > memory_.size()) throw RuntimeError("an arena was asked for more memory than was measured");
  return memory_.data() + offset;
}

}  // namespace stampede
