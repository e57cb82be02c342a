// SPDX-License-Identifier: Apache-2.0
// The metrics of a fused update: one column of a tile per metric, sums over a block's tiles.
#pragma once

#include "agents/fused/tower_blocks.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS
// Sixteen threads per metric, each with every sixteenth row of a tile. The sums lie in shared memory: the passes need
// all registers.
template <class Shape, int kMetrics>
struct TileMetrics {
  static constexpr int kSumThreads = kMetrics * 16;
  static_assert(kSumThreads <= Shape::kThreads);

  float* rows;   // [kMetrics, kRows], written by the caller
  double* sums;  // [kSumThreads]

  // Before the first tile; the caller's barrier follows.
  DEVICE void clear() const {
    if (thread_index() < kSumThreads) sums[thread_index()] = 0.0;
  }

  DEVICE void add_tile() const {
    const int thread = thread_index();
    if (thread >= kSumThreads) return;
    const float* const own = rows + thread / 16 * Shape::kRows;
    float sum = 0.0f;
    for (int r = thread % 16; r < Shape::kRows; r += 16) sum += own[r];
    sums[thread] += static_cast<double>(sum);
  }

  // to [kMetrics]
  DEVICE void store(double* to) const {
    const int thread = thread_index();
    if (thread >= kSumThreads) return;
    double sum = sums[thread];
    for (unsigned half = 8; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffu, sum, half, 16);
    if (thread % 16 == 0) to[thread / 16] = sum;
  }
};
#endif

}  // namespace stampede
