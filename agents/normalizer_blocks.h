// SPDX-License-Identifier: Apache-2.0
// The block of CUDA threads that merges the moments of many parts of a rollout.
#pragma once

#include "agents/normalizer.h"
#include "kernels/reduce_blocks.h"

namespace stampede {

struct MergeMoments {
  using Value = RunningMoments;
  static HD RunningMoments identity() { return {0.0, 0.0, 0.0}; }
  static HD RunningMoments combine(RunningMoments a, const RunningMoments& b) {
    a.merge(b.count, b.mean, b.squares);
    return a;
  }
};

// moments[q] += all of parts[:, q]; the shape of the reduction is that of a chunk of any length in reduce_blocks.h.
struct MomentsOfParts {
  const RunningMoments* parts;  // [count, quantities]
  int count, quantities;
  RunningMoments* moments;  // [quantities]

  HD RunningMoments part(std::size_t i, unsigned quantity) const {
    return parts[i * static_cast<std::size_t>(quantities) + quantity];
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// Block q of kReduceLanes threads.
struct MergeMomentsKernel {
  MomentsOfParts op;

  DEVICE void operator()() const {
    SHARED_ARRAY(RunningMoments, lanes, kReduceLanes);
    const unsigned l = threadIdx.x;
    RunningMoments m = MergeMoments::identity();
    for (unsigned i = l; i < static_cast<unsigned>(op.count); i += kReduceLanes) {
      m = MergeMoments::combine(m, op.part(i, blockIdx.x));
    }
    lanes[l] = m;
    for (unsigned width = kReduceLanes / 2; width > 0; width /= 2) {
      __syncthreads();
      if (l < width) lanes[l] = MergeMoments::combine(lanes[l], lanes[l + width]);
    }
    if (l == 0) op.moments[blockIdx.x] = MergeMoments::combine(op.moments[blockIdx.x], lanes[0]);
  }
};
#endif

}  // namespace stampede
