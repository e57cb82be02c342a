// SPDX-License-Identifier: Apache-2.0
// The launch that a host function, its configuration and its arguments make.
#pragma once

#include <cuda_runtime_api.h>

#include "tests/soft_gpu/runtime/work.h"

namespace stampede::soft_gpu {

// Throws ApiError where CUDA refuses the launch: an unknown function, limits of the device or of the kernel.
Launch launch_of(const cudaKernelNodeParams& parameters);

}  // namespace stampede::soft_gpu
