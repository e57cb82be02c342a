// SPDX-License-Identifier: Apache-2.0
// Turns a failed CUDA call into a RuntimeError that names the call; only files compiled by nvcc include it.
#pragma once

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include <string>

#include "kernels/error.h"

namespace stampede {

inline void check_cuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // a sticky error must not be blamed on the next call
  throw RuntimeError(std::string("CUDA: ") + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) + ") in " +
                     call + " at " + file + ":" + std::to_string(line));
}

}  // namespace stampede

#define CUDA_CHECK(call) ::stampede::check_cuda((call), #call, __FILE__, __LINE__)
#endif
