// SPDX-License-Identifier: Apache-2.0
// The state behind CUDA's runtime functions, which belongs to the process: CUDA's interface has no object for it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tests/soft_gpu/runtime/context.h"

namespace stampede::soft_gpu {

class Runtime {
 public:
  // Never destroyed: static objects of the program may free memory at exit.
  static Runtime& get();

  KernelTable& kernels() { return kernels_; }
  Context& context();  // made when it is first needed
  // A device as after a start of the process; what the host still holds of the old one is invalid.
  void reset();

  // Runs the body of a CUDA function under a lock. What it throws becomes the error that the function returns and that
  // cudaGetLastError reports; after a fault every call fails, as on a device whose context is lost.
  template <class Body>
  cudaError_t call(Body&& body) {
    const std::lock_guard lock(mutex_);
    if (lost_ != cudaSuccess) return lost_;
    try {
      body(context());
      return cudaSuccess;
    } catch (const ApiError& error) {
      return last_error() = error.code;
    } catch (const Fault& fault) {
      return lose(fault);
    }
  }

  // cudaSuccess unless a fault has happened.
  cudaError_t lost() const { return lost_; }
  const std::string& fault() const { return fault_; }
  // Of the calling thread; cudaGetLastError clears it.
  static cudaError_t& last_error();

 private:
  Runtime() = default;
  cudaError_t lose(const Fault& fault);

  std::mutex mutex_;
  KernelTable kernels_;
  std::unique_ptr<Context> context_;
  cudaError_t lost_ = cudaSuccess;
  std::string fault_;
};

}  // namespace stampede::soft_gpu
