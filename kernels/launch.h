// SPDX-License-Identifier: Apache-2.0
// The three ways to run a functor over a batch, on whichever device the stream belongs to.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/cuda_check.h"
#include "kernels/enqueue.h"
#include "kernels/hd.h"
#include "kernels/stream.h"

namespace stampede {

// Work per OpenMP task; small enough to stay in L1, large enough to hide the loop.
inline constexpr int kCpuChunk = 1024;

#ifdef __CUDACC__
template <class F>
__global__ void index_kernel(int n, const __grid_constant__ F functor) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) functor(i);
}

template <class F>
__global__ void chunk_kernel(int n, const __grid_constant__ F functor) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) functor(i, i + 1);
}

template <class F>
__global__ void block_kernel(const __grid_constant__ F functor) {
  functor();
}

template <unsigned kThreads, unsigned kBlocksPerProcessor, class F>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    bounded_block_kernel(const __grid_constant__ F functor) {
  functor();
}

inline unsigned grid_for(int n, int block) { return static_cast<unsigned>((n + block - 1) / block); }

template <class... Arguments>
void launch_kernel(const Stream& stream, void (*kernel)(Arguments...), unsigned grid, unsigned block,
                   std::size_t shared, const std::type_identity_t<Arguments>&... arguments) {
  static_assert((std::is_trivially_copyable_v<Arguments> && ...));
  enqueue(stream, KernelLaunch{reinterpret_cast<const void*>(kernel), grid, block, shared},
          KernelArguments{KernelArgument{&arguments, sizeof arguments}...});
}
#endif

template <class F>
void run_index_range(int begin, int end, const F functor) {
  STAMPEDE_INDEPENDENT
  for (int i = begin; i < end; ++i) functor(i);
}

// for_each_index() where CUDA has a block-cooperative kernel of its own: CPU streams only.
template <class F>
void for_each_index_on_cpu(const Stream& stream, int n, const F& functor, int grain = kCpuChunk) {
  if (n <= 0) return;
  const int chunks = (n + grain - 1) / grain;
  if (stream.threads() == 1 || chunks == 1) return run_index_range(0, n, functor);
#pragma omp parallel for schedule(static) num_threads(stream.threads())
  for (int c = 0; c < chunks; ++c) {
    const int begin = c * grain;
    run_index_range(begin, begin + grain < n ? begin + grain : n, functor);
  }
}

// functor(i) for i in [0, n), in any order; iterations must not depend on each other. `grain` indices make one CPU
// task: smaller for heavier functors. Stream-ordered.
template <class F>
void for_each_index(const Stream& stream, int n, const F& functor, int grain = kCpuChunk) {
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    if (n <= 0) return;
    launch_kernel(stream, index_kernel<F>, grid_for(n, 256), 256, 0, n, functor);
    return;
  }
#endif
  for_each_index_on_cpu(stream, n, functor, grain);
}

// functor(begin, end) over a partition of [0, n): ranges of at most `grain` <= kCpuChunk on a CPU, single indices on
// CUDA. For work in two passes, such as a vectorised step and rare scalar resets. Stream-ordered.
template <class F>
void for_each_chunk(const Stream& stream, int n, const F& functor, int grain = kCpuChunk) {
  if (n <= 0) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    launch_kernel(stream, chunk_kernel<F>, grid_for(n, 128), 128, 0, n, functor);
    return;
  }
#endif
  const int chunks = (n + grain - 1) / grain;
  const auto run = [&](int chunk) {
    const int begin = chunk * grain;
    functor(begin, begin + grain < n ? begin + grain : n);
  };
  // Not an `if` clause: even a region of one thread costs OpenMP a microsecond.
  if (stream.threads() == 1 || chunks == 1) {
    for (int c = 0; c < chunks; ++c) run(c);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(stream.threads())
  for (int c = 0; c < chunks; ++c) run(c);
}

#ifdef __CUDACC__
// A block-cooperative kernel: functor() runs in grid x block threads with `shared` bytes of dynamic shared memory.
// CUDA streams only; its plain CPU twin stands beside each functor.
template <class F>
void launch_blocks(const Stream& stream, unsigned grid, unsigned block, std::size_t shared, const F& functor) {
  constexpr std::size_t kGranted = 48 * 1024;  // what a kernel gets without asking
  if (shared > kGranted) {
    CUDA_CHECK(
        cudaFuncSetAttribute(block_kernel<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  }
  launch_kernel(stream, block_kernel<F>, grid, block, shared, functor);
}

// The same for kernels whose registers are limited so that kBlocksPerProcessor blocks fit on a multiprocessor, with any
// amount of shared memory that it has.
template <unsigned kThreads, unsigned kBlocksPerProcessor, class F>
void launch_bounded_blocks(const Stream& stream, unsigned grid, std::size_t shared, const F& functor) {
  const auto kernel = bounded_block_kernel<kThreads, kBlocksPerProcessor, F>;
  CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  launch_kernel(stream, kernel, grid, kThreads, shared, functor);
}
#endif

}  // namespace stampede
