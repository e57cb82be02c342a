// SPDX-License-Identifier: Apache-2.0
// How the launches of a fused update reach a CUDA stream.
#pragma once

#include "kernels/launch.h"

namespace stampede {

#ifdef __CUDACC__
struct CudaLaunch {
  const Stream& stream;

  template <unsigned kThreads, unsigned kBlocksPerProcessor, class Kernel>
  void blocks(unsigned grid, std::size_t shared, const Kernel& kernel) const {
    launch_bounded_blocks<kThreads, kBlocksPerProcessor>(stream, grid, shared, kernel);
  }
  template <class Functor>
  void each(int count, const Functor& functor) const {
    for_each_index(stream, count, functor);
  }
};
#endif

}  // namespace stampede
