// SPDX-License-Identifier: Apache-2.0
// Kernels written in PTX by hand, registered and launched the way nvcc's generated code does it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace stampede::soft_gpu {

enum class HandWritten {
  kStore,    // (uint32 value, uint32* to): to[global thread] = value
  kBounded,  // the same with .maxntid 64
  kShared,   // the same with 40,000 bytes of static shared memory
};

// Enqueues to[i] = value for grid x block threads, with `shared` bytes of dynamic shared memory.
cudaError_t launch_store(HandWritten kernel, cudaStream_t stream, std::uint32_t value, std::uint32_t* to,
                         unsigned grid = 1, unsigned block = 1, std::size_t shared = 0);
// cudaFuncSetAttribute for the largest dynamic shared memory.
cudaError_t allow_shared(HandWritten kernel, std::size_t bytes);

}  // namespace stampede::soft_gpu
