// SPDX-License-Identifier: Apache-2.0
// Launches, and the functions that nvcc's generated code calls around them and before main.
#include <cstring>
#include <vector>

#include "tests/soft_gpu/runtime/device_limits.h"
#include "tests/soft_gpu/runtime/launch_of.h"
#include "tests/soft_gpu/runtime/runtime.h"

using namespace stampede::soft_gpu;

namespace {

struct CallConfiguration {
  dim3 grid, block;
  std::size_t shared;
  cudaStream_t stream;
};

// Between the execution configuration of a launch and the function generated for it.
std::vector<CallConfiguration>& call_configurations() {
  thread_local std::vector<CallConfiguration> configurations;
  return configurations;
}

HostKernel& find_kernel(const void* host_function) {
  HostKernel* const kernel = Runtime::get().kernels().find(host_function);
  if (kernel == nullptr) throw ApiError{cudaErrorInvalidDeviceFunction};
  return *kernel;
}

const Kernel& loaded(const HostKernel& kernel) {
  const Kernel* const found = kernel.module->find(kernel.name);
  if (found == nullptr) throw ApiError{cudaErrorInvalidDeviceFunction};
  return *found;
}

unsigned rounded_up(unsigned value, unsigned multiple) { return (value + multiple - 1) / multiple * multiple; }

// Registers are given to warps in pieces of 256, eight per thread, and to four warps at a time.
bool has_registers(unsigned per_thread, unsigned threads) {
  const unsigned warps = rounded_up((threads + 31) / 32, 4);
  return warps * rounded_up(32 * rounded_up(per_thread, 8), 256) <= kRegisters;
}

std::size_t granted_shared(const HostKernel& host, const Kernel& kernel) {
  return host.dynamic_shared.value_or(kSharedBytes - kernel.static_shared);
}

void check_launch(const HostKernel& host, const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared) {
  const bool flat = grid.y == 1 && grid.z == 1 && block.y == 1 && block.z == 1;
  if (!flat || grid.x == 0 || grid.x > kMaxGrid || block.x == 0 || block.x > kMaxBlockThreads) {
    throw ApiError{cudaErrorInvalidConfiguration};
  }
  if (block.x > kernel.max_threads || shared > granted_shared(host, kernel)) throw ApiError{cudaErrorInvalidValue};
  if (!has_registers(static_cast<unsigned>(host.module->registers(host.name)), block.x)) {
    throw ApiError{cudaErrorLaunchOutOfResources};
  }
}

std::vector<std::byte> parameters_of(const Kernel& kernel, void** arguments) {
  std::vector<std::byte> bytes(kernel.parameter_bytes);
  for (std::size_t i = 0; i < kernel.parameters.size(); ++i) {
    std::memcpy(bytes.data() + kernel.parameters[i].offset, arguments[i], kernel.parameters[i].bytes);
  }
  return bytes;
}

Launch make_launch(const HostKernel& host, dim3 grid, dim3 block, void** arguments, std::size_t shared) {
  const Kernel& kernel = loaded(host);
  check_launch(host, kernel, grid, block, shared);
  return Launch{&kernel, grid.x, block.x, shared, parameters_of(kernel, arguments)};
}

}  // namespace

Launch stampede::soft_gpu::launch_of(const cudaKernelNodeParams& parameters) {
  return make_launch(find_kernel(parameters.func), parameters.gridDim, parameters.blockDim, parameters.kernelParams,
                     parameters.sharedMemBytes);
}

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  return reinterpret_cast<void**>(Runtime::get().kernels().add_module(wrapper));
}

void __cudaRegisterFatBinaryEnd(void**) {}

void __cudaUnregisterFatBinary(void**) {}

void __cudaRegisterFunction(void** module, const char* host_function, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  Runtime::get().kernels().add_kernel(host_function, reinterpret_cast<LoadedModule*>(module), name);
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host_function) {
  return Runtime::get().call([&](Context&) { *kernel = reinterpret_cast<cudaKernel_t>(&find_kernel(host_function)); });
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, CUstream_st* stream) {
  call_configurations().push_back({grid, block, shared, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  if (call_configurations().empty()) return cudaErrorUnknown;
  const CallConfiguration last = call_configurations().back();
  call_configurations().pop_back();
  *grid = last.grid;
  *block = last.block;
  *shared = last.shared;
  *static_cast<cudaStream_t*>(stream) = last.stream;
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                               cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) {
    const auto& host = *reinterpret_cast<const HostKernel*>(kernel);
    context.submit(stream, make_launch(host, grid, block, arguments, shared));
  });
}

cudaError_t cudaLaunchKernel(const void* host_function, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                             cudaStream_t stream) {
  return Runtime::get().call([&](Context& context) {
    context.submit(stream, make_launch(find_kernel(host_function), grid, block, arguments, shared));
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* host_function) {
  return Runtime::get().call([&](Context&) {
    const HostKernel& host = find_kernel(host_function);
    const Kernel& kernel = loaded(host);
    *attributes = {};
    attributes->numRegs = host.module->registers(host.name);
    attributes->maxThreadsPerBlock = static_cast<int>(kernel.max_threads);
    attributes->sharedSizeBytes = kernel.static_shared;
    attributes->localSizeBytes = kernel.local_bytes;
    attributes->maxDynamicSharedSizeBytes = static_cast<int>(granted_shared(host, kernel));
    attributes->ptxVersion = attributes->binaryVersion = 90;
  });
}

cudaError_t cudaFuncSetAttribute(const void* host_function, cudaFuncAttribute attribute, int value) {
  return Runtime::get().call([&](Context&) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) throw ApiError{cudaErrorNotSupported};
    HostKernel& kernel = find_kernel(host_function);
    const std::size_t room = kSharedBytesOptIn - loaded(kernel).static_shared;
    if (value < 0 || static_cast<std::size_t>(value) > room) throw ApiError{cudaErrorInvalidValue};
    kernel.dynamic_shared = static_cast<std::size_t>(value);
  });
}

}  // extern "C"
