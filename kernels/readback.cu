// SPDX-License-Identifier: Apache-2.0
#include "kernels/readback.h"

#include <cstring>

#include "kernels/buffer.h"
#include "kernels/cuda_check.h"

namespace stampede {

void ReadbackBytes::reserve([[maybe_unused]] const Stream& stream, std::size_t bytes) {
  if (bytes <= capacity_) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    void* memory = nullptr;
    CUDA_CHECK(cudaMallocHost(&memory, bytes));
    event_.reset();
    memory_ = Owned(memory, [](void* m) { cudaFreeHost(m); });
    cudaEvent_t event = nullptr;
    CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    // The memory outlives the copy into it: whatever frees it frees the event before.
    event_ = Owned(event, [](void* e) {
      cudaEventSynchronize(static_cast<cudaEvent_t>(e));
      cudaEventDestroy(static_cast<cudaEvent_t>(e));
    });
    capacity_ = bytes;
    return;
  }
#endif
  memory_ = Owned(allocate_memory(Device{}, bytes), [](void* m) { free_memory(Device{}, m); });
  capacity_ = bytes;
}

void ReadbackBytes::request(const Stream& stream, const void* device, std::size_t bytes) {
  reserve(stream, bytes);
  size_ = bytes;
  if (bytes == 0) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    const auto handle = static_cast<cudaStream_t>(stream.handle());
    CUDA_CHECK(cudaMemcpyAsync(memory_.get(), device, bytes, cudaMemcpyDeviceToHost, handle));
    CUDA_CHECK(cudaEventRecord(static_cast<cudaEvent_t>(event_.get()), handle));
    return;
  }
#endif
  std::memcpy(memory_.get(), device, bytes);
}

const void* ReadbackBytes::wait(const Stream& stream) const {
  if (size_ == 0) return nullptr;
  stream.count_host_wait();
#ifdef __CUDACC__
  if (stream.is_cuda()) CUDA_CHECK(cudaEventSynchronize(static_cast<cudaEvent_t>(event_.get())));
#endif
  return memory_.get();
}

}  // namespace stampede
