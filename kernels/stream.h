// SPDX-License-Identifier: Apache-2.0
// A stream is the unit of order: work enqueued on one stream runs in the order it was enqueued.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "kernels/device.h"

namespace stampede {

class WorkRecorder;

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
  // The cudaStream_t of a CUDA stream, null on a CPU. Interrupts a recording.
  void* handle() const;

  // From here on, what enqueue() gets goes to the recorder; null: to the device again. For a Graph.
  void record_to(WorkRecorder* recorder) const { shared_->recorder = recorder; }
  WorkRecorder* recorder() const { return shared_->recorder; }

  // The same order on the calling thread alone: what runs inside a parallel region. A CUDA stream is returned
  // unchanged.
  Stream serial() const;
  // Returns when everything enqueued has finished. Throws RuntimeError if any of it failed.
  void synchronize() const;

  // How often the host has waited for this stream: copies to and from the host, and synchronize(). Counted on a CPU
  // too, where waiting costs nothing, so that a test without a GPU can tell that an iteration of training never waits.
  std::int64_t host_waits() const { return shared_->host_waits.load(std::memory_order_relaxed); }
  // For what waits.
  void count_host_wait() const { shared_->host_waits.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct Shared {
    ~Shared();
    void* handle = nullptr;
    WorkRecorder* recorder = nullptr;
    std::atomic<std::int64_t> host_waits{0};
  };
  Stream(Device device, int threads, std::shared_ptr<Shared> shared);

  Device device_;
  int threads_;
  std::shared_ptr<Shared> shared_;  // with all copies
};

}  // namespace stampede
