// SPDX-License-Identifier: Apache-2.0
// The block of CUDA threads that sums one metric over a tile's rows, a batch of hundreds of thousands included.
#pragma once

#include "kernels/reduce_blocks.h"

namespace stampede {

struct DoubleSumOp {
  using Value = double;
  static HD double identity() { return 0.0; }
  static HD double combine(double a, double b) { return a + b; }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// Block k of kReduceLanes threads: totals[k] += sum over r of metrics[k, r].
struct RowMetricsKernel {
  const float* metrics;  // [grid, rows]
  int rows;
  double* totals;  // [grid]

  DEVICE void operator()() const {
    const float* const column = metrics + static_cast<std::size_t>(blockIdx.x) * static_cast<std::size_t>(rows);
    double sum = 0.0;
#ifdef __CUDACC__
#pragma unroll 8  // so many loads are under way at a time
#endif
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += static_cast<int>(kReduceLanes)) {
      sum += static_cast<double>(column[r]);
    }
    sum = reduce_block<DoubleSumOp>(sum);
    if (threadIdx.x == 0) totals[blockIdx.x] += sum;
  }
};
#endif

}  // namespace stampede
