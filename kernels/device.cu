// SPDX-License-Identifier: Apache-2.0
#include "kernels/device.h"

#include "kernels/cuda_check.h"
#include "kernels/error.h"
#include "kernels/host_memory.h"

namespace stampede {

#ifdef __CUDACC__
namespace {

__global__ void probe_kernel() {}

// Not empty when the GPU does not take this program's kernels. Their first launch would say so, much later: nvcc
// compiled nothing that its driver can run, or another process has it for itself.
std::string refusal() {
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe_kernel);
  if (status == cudaSuccess) return "";
  cudaGetLastError();
  if (status != cudaErrorNoKernelImageForDevice && status != cudaErrorInvalidDeviceFunction) {
    return std::string("the GPU cannot be used: ") + cudaGetErrorString(status);
  }
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  return "this build has no code for a GPU of compute capability " + std::to_string(major) + "." +
         std::to_string(minor) + "; remove its folder in build/ to have it made for the GPUs of this machine";
}

}  // namespace
#endif

std::string cuda_unavailable_reason() {
#ifdef __CUDACC__
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    return std::string("no usable GPU: ") + cudaGetErrorString(status);
  }
  return count > 0 ? refusal() : "no GPU in this machine";
#else
  return "this build has no CUDA path (nvcc was not found when it was configured)";
#endif
}

Device parse_device(std::string_view name) {
  if (name == "cpu") return {};
  if (name != "cuda" && name != "auto") {
    throw UsageError("device: '" + std::string(name) + "' is not one of cpu, cuda, auto");
  }
  const std::string reason = cuda_unavailable_reason();
  if (reason.empty()) return {DeviceKind::kCuda, 0};
  if (name == "auto") return {};
  throw RuntimeError("device cuda: " + reason + "; use device=cpu");
}

std::string_view device_name(Device device) { return device.is_cuda() ? "cuda" : "cpu"; }

std::size_t available_memory(Device device) {
#ifdef __CUDACC__
  if (device.is_cuda()) {
    std::size_t free = 0, total = 0;
    CUDA_CHECK(cudaSetDevice(device.index));
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return free;
  }
#endif
  static_cast<void>(device);
  return available_host_memory();
}

}  // namespace stampede
