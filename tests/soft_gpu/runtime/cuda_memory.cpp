// SPDX-License-Identifier: Apache-2.0
// CUDA's functions for memory.
#include "tests/soft_gpu/runtime/runtime.h"

using namespace stampede::soft_gpu;

extern "C" {

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return Runtime::get().call([&](Context& context) {
    context.forbid_during_strict_capture();
    const std::uint64_t address = context.memory().allocate(bytes);
    if (address == 0) throw ApiError{cudaErrorMemoryAllocation};
    *pointer = reinterpret_cast<void*>(address);
  });
}

// Waits for the whole device.
cudaError_t cudaFree(void* pointer) {
  return Runtime::get().call([&](Context& context) {
    if (pointer == nullptr) return;
    context.forbid_during_strict_capture();
    context.synchronize_device();
    try {
      context.memory().release(reinterpret_cast<std::uint64_t>(pointer));
    } catch (const Fault&) {
      throw ApiError{cudaErrorInvalidValue};
    }
  });
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return Runtime::get().call([&](Context& context) {
    context.forbid_during_strict_capture();
    *pointer = context.pinned().allocate(bytes);
    if (*pointer == nullptr) throw ApiError{cudaErrorMemoryAllocation};
  });
}

// Does not wait: CUDA does not promise it.
cudaError_t cudaFreeHost(void* pointer) {
  return Runtime::get().call([&](Context& context) {
    context.forbid_during_strict_capture();
    if (pointer != nullptr && !context.pinned().release(pointer)) throw ApiError{cudaErrorInvalidValue};
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return Runtime::get().call([&](Context& context) {
    *total = context.memory().capacity();
    *free = *total - context.memory().used();
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) {
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const bool known = to_device || from_device || kind == cudaMemcpyDefault;
    if (!known) throw ApiError{cudaErrorInvalidMemcpyDirection};
    if (kind != cudaMemcpyDefault && bytes > 0 &&
        (to_device != context.memory().contains(to) || from_device != context.memory().contains(from))) {
      throw ApiError{cudaErrorInvalidValue};
    }
    context.copy(stream, to, from, bytes);
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) {
    if (!context.memory().contains(to)) throw ApiError{cudaErrorInvalidValue};
    if (bytes > 0) context.submit(stream, Fill{reinterpret_cast<std::uint64_t>(to), value, bytes});
  });
}

// Returns before the device's memory is filled, as CUDA does.
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) { return cudaMemsetAsync(to, value, bytes, nullptr); }

}  // extern "C"
