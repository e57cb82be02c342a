// SPDX-License-Identifier: Apache-2.0
// One block of device memory per subsystem, sized before anything is allocated.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/buffer.h"
#include "kernels/device.h"
#include "kernels/view.h"

namespace stampede {

// An arena starts by measuring: take() returns views that must not be read and only adds up bytes. allocate() then gets
// the memory, and the same sequence of take() calls returns the real, zeroed views. So a budget is known before it is
// spent.
class Arena {
 public:
  explicit Arena(Device device) : device_(device) {}

  Device device() const { return device_; }
  bool measuring() const { return memory_.size() == 0; }
  // Bytes handed out so far, or needed while measuring.
  std::size_t bytes() const { return used_; }

  // Throws RuntimeError, naming the budget, when the device does not have that much memory. `what` names the subsystem.
  void allocate(const std::string& what);

  // count elements, 64-byte aligned, zeroed. Throws RuntimeError when more is taken than was measured.
  template <class T>
  View<T> take(std::size_t count) {
    return {reinterpret_cast<T*>(take_bytes(count * sizeof(T))), {count}};
  }

 private:
  std::byte* take_bytes(std::size_t bytes);

  Device device_;
  Buffer<std::byte> memory_;
  std::size_t used_ = 0;
};

}  // namespace stampede
