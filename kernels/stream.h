// SPDX-License-Identifier: Apache-2.0
// A stream is the unit of order: work enqueued on one stream runs in the order it was enqueued.
#pragma once

#include <memory>

#include "kernels/device.h"

namespace stampede {

// A CPU stream executes at once on `threads` OpenMP threads; a CUDA stream enqueues. Cheap to pass by reference.
class Stream {
 public:
  // Throws UsageError unless threads is in [1, 1024].
  static Stream cpu(int threads = 1);
  // Creates a non-blocking CUDA stream. Throws RuntimeError without a usable GPU.
  static Stream cuda(int device_index = 0);

  Device device() const { return device_; }
  bool is_cuda() const { return device_.is_cuda(); }
  int threads() const { return threads_; }
  // The cudaStream_t of a CUDA stream, null on a CPU.
  void* handle() const { return handle_.get(); }

  // The same order on the calling thread alone: what runs inside a parallel region. A CUDA stream is returned
  // unchanged.
  Stream serial() const;
  // Returns when everything enqueued has finished. Throws RuntimeError if any of it failed.
  void synchronize() const;

 private:
  Stream(Device device, int threads, std::shared_ptr<void> handle);

  Device device_;
  int threads_;
  std::shared_ptr<void> handle_;
};

}  // namespace stampede
