// SPDX-License-Identifier: Apache-2.0
// HD marks a function that the CPU and CUDA share: host and device code under nvcc, plain inline code elsewhere.
// HD_CALL marks one that is called instead of inlined, because copies of it would cost more than the call.
#pragma once

#ifdef __CUDACC__
#define HD __host__ __device__ __forceinline__
#define HD_CALL inline __host__ __device__ __noinline__
#else
#define HD inline __attribute__((always_inline))
#define HD_CALL inline __attribute__((noinline))
#endif

namespace stampede {

// Independent iterations: tells gcc's vectoriser that no iteration reads what another writes. nvcc's front end does not
// know the pragma, so it is spelled through _Pragma and only where g++ compiles the loop.
#ifdef __CUDA_ARCH__
#define STAMPEDE_INDEPENDENT
#else
#define STAMPEDE_INDEPENDENT _Pragma("GCC ivdep")
#endif

}  // namespace stampede
