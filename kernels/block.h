// SPDX-License-Identifier: Apache-2.0
// The vocabulary of block-cooperative kernels: one text that nvcc compiles and that tests run under a fibre emulator.
#pragma once

// A block kernel is a functor `struct K { ...; DEVICE void operator()() const; }` for launch_blocks (kernels/launch.h).
// It stands in a header, inside `#ifdef STAMPEDE_BLOCK_KERNELS`, so that a plain host compiler leaves it out, nvcc
// compiles it, and a test that includes tests/emulator/simt.h first runs it on the CPU.
#ifdef __CUDACC__

#define DEVICE __device__ __forceinline__
// `T name[count]` in static shared memory, uninitialised.
#define SHARED_ARRAY(T, name, count) __shared__ T name[count]
// The launch's dynamic shared memory, aligned to 16 bytes.
#define DYNAMIC_SHARED(T, name)                                            \
  extern __shared__ __align__(16) unsigned char stampede_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(stampede_dynamic_shared)
// Before a loop of fixed length whose body indexes arrays that must stay in registers.
#define UNROLL _Pragma("unroll")
#define STAMPEDE_BLOCK_KERNELS 1

#elif defined(STAMPEDE_SIMT_EMULATOR)

#define UNROLL
#define STAMPEDE_BLOCK_KERNELS 1

#endif
