// SPDX-License-Identifier: Apache-2.0
#include "kernels/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "kernels/cuda_check.h"
#include "kernels/enqueue.h"
#include "kernels/error.h"

namespace stampede {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

[[noreturn]] void out_of_memory(Device device, std::size_t bytes) {
  throw RuntimeError("not enough memory on " + std::string(device_name(device)) + ": " + std::to_string(bytes >> 20) +
                     " MiB could not be allocated");
}

void* allocate_host(std::size_t bytes) {
  const bool large = bytes >= kHugePage;
  const std::size_t alignment = large ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) out_of_memory(Device{}, bytes);
  if (large) madvise(memory, rounded, MADV_HUGEPAGE);  // random reads of a ring are TLB misses on 4 KiB pages
  std::memset(memory, 0, bytes);
  return memory;
}

}  // namespace

void* allocate_memory(Device device, std::size_t bytes) {
  if (bytes == 0) return nullptr;
#ifdef __CUDACC__
  if (device.is_cuda()) {
    void* memory = nullptr;
    CUDA_CHECK(cudaSetDevice(device.index));
    if (cudaMalloc(&memory, bytes) != cudaSuccess) {
      cudaGetLastError();
      out_of_memory(device, bytes);
    }
    // The call returns before the memory is filled, and streams of ours do not wait for the default stream.
    CUDA_CHECK(cudaMemset(memory, 0, bytes));
    CUDA_CHECK(cudaStreamSynchronize(cudaStreamLegacy));
    return memory;
  }
#endif
  if (device.is_cuda()) throw RuntimeError("device cuda: " + cuda_unavailable_reason());
  return allocate_host(bytes);
}

void free_memory(Device device, void* memory) noexcept {
#ifdef __CUDACC__
  if (device.is_cuda()) {
    cudaFree(memory);
    return;
  }
#endif
  static_cast<void>(device);
  std::free(memory);
}

void copy_to_host(const Stream& stream, void* host, const void* device, std::size_t bytes) {
  if (bytes == 0) return;
  stream.count_host_wait();
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    const auto handle = static_cast<cudaStream_t>(stream.handle());
    CUDA_CHECK(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, handle));
    CUDA_CHECK(cudaStreamSynchronize(handle));
    return;
  }
#endif
  std::memcpy(host, device, bytes);
}

void copy_to_device(const Stream& stream, void* device, const void* host, std::size_t bytes) {
  if (bytes == 0) return;
  stream.count_host_wait();
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    const auto handle = static_cast<cudaStream_t>(stream.handle());
    CUDA_CHECK(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, handle));
    CUDA_CHECK(cudaStreamSynchronize(handle));  // the caller may reuse its host memory at once
    return;
  }
#endif
  std::memcpy(device, host, bytes);
}

void copy_on_device(const Stream& stream, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) return enqueue(stream, DeviceCopy{to, from, bytes});
#endif
  static_cast<void>(stream);
  std::memcpy(to, from, bytes);
}

void fill_zero(const Stream& stream, void* memory, std::size_t bytes) {
  if (bytes == 0) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) return enqueue(stream, ZeroFill{memory, bytes});
#endif
  static_cast<void>(stream);
  std::memset(memory, 0, bytes);
}

}  // namespace stampede
