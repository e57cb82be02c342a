// SPDX-License-Identifier: Apache-2.0
// Prioritised replay's passes over a batch as CUDA kernels that need no launch of their own for a batch's extreme: the
// block that finishes last knows it.
#pragma once

#include "kernels/last_block.h"
#include "kernels/reduce_blocks.h"
#include "kernels/sum_tree_blocks.h"
#include "replay/priority_steps.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS
// Of a block of a power of two of threads, up to 256; in every thread.
template <class Op>
DEVICE float fold_block(float value) {
  SHARED_ARRAY(float, values, kReduceLanes);
  __syncthreads();
  values[threadIdx.x] = value;
  for (unsigned width = blockDim.x / 2; width > 0; width /= 2) {
    __syncthreads();
    if (threadIdx.x < width) values[threadIdx.x] = Op::combine(values[threadIdx.x], values[threadIdx.x + width]);
  }
  __syncthreads();
  return values[0];
}

// After the draws of a batch: its importance weights, relative to the rarest row.
struct WeightTail {
  const float* priorities;  // [batch]
  int batch;
  float beta;
  float* weights;     // [batch]
  unsigned* arrived;  // [1]

  // Priorities of a thread that are under way at once: one block has the whole batch to itself.
  static constexpr int kTogether = 8;

  DEVICE void operator()() const {
    if (!is_last_block(arrived)) return;
    float own[kTogether], smallest = MinOp::identity();
    const int step = kTogether * static_cast<int>(blockDim.x);
    for (int first = 0; first < batch; first += step) {
      load(first, own);
      UNROLL
      for (int j = 0; j < kTogether; ++j) smallest = MinOp::combine(smallest, own[j]);
    }
    smallest = fold_block<MinOp>(smallest);
    for (int first = 0; first < batch; first += step) {
      load(first, own);
      UNROLL
      for (int j = 0; j < kTogether; ++j) {
        if (place(first, j) < batch) weights[place(first, j)] = ImportanceWeight::of(own[j], smallest, beta);
      }
    }
  }

 private:
  static DEVICE int place(int first, int j) {
    return first + j * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x);
  }
  DEVICE void load(int first, float (&own)[kTogether]) const {
    UNROLL
    for (int j = 0; j < kTogether; ++j) {
      own[j] = place(first, j) < batch ? priorities[place(first, j)] : MinOp::identity();
    }
  }
};

// NewPriorities of a batch, and the largest of them raises the maximum.
struct NewPrioritiesKernel {
  static constexpr unsigned kThreads = 256;

  NewPriorities fresh;
  int batch;
  float* maximum;       // [1]
  float* block_maxima;  // [grid]
  unsigned* arrived;    // [1]

  DEVICE void operator()() const {
    const int k = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
    if (k < batch) fresh(k);
    const float own = fold_block<MaxOp>(k < batch ? fresh.priorities[k] : MaxOp::identity());
    if (threadIdx.x == 0) block_maxima[blockIdx.x] = own;
    if (!is_last_block(arrived)) return;
    float largest = MaxOp::identity();
    for (unsigned b = threadIdx.x; b < gridDim.x; b += kThreads) largest = MaxOp::combine(largest, block_maxima[b]);
    largest = fold_block<MaxOp>(largest);
    if (threadIdx.x == 0) RaiseValue{maximum, &largest}(0);
  }
};
#endif

}  // namespace stampede
