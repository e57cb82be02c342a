// SPDX-License-Identifier: Apache-2.0
#include "kernels/device_limits.h"

#include "kernels/cuda_check.h"

namespace stampede {

DeviceLimits device_limits(Device device) {
  DeviceLimits limits;
#ifdef __CUDACC__
  if (device.is_cuda()) {
    int shared = 0;
    CUDA_CHECK(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device.index));
    CUDA_CHECK(cudaDeviceGetAttribute(&limits.multiprocessors, cudaDevAttrMultiProcessorCount, device.index));
    limits.shared_per_block = static_cast<std::size_t>(shared);
  }
#endif
  static_cast<void>(device);
  return limits;
}

}  // namespace stampede
