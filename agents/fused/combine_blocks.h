// SPDX-License-Identifier: Apache-2.0
// From the partial gradients of a batch's blocks to one decided optimiser update: sums of fixed shape, the norm, the
// batch's metrics, in one launch.
#pragma once

#include "kernels/arena.h"
#include "kernels/last_block.h"
#include "kernels/optimizer_blocks.h"

namespace stampede {

inline constexpr unsigned kCombineThreads = 256;
inline constexpr unsigned kCombineElements = 64;  // parameters of a block; four threads share the slots of each
inline constexpr unsigned kMostBlockMetrics = kCombineThreads / 16;

inline unsigned combine_chunks(std::size_t count) {
  return static_cast<unsigned>((count + kCombineElements - 1) / kCombineElements);
}

// What the blocks of a batch leave behind.
struct BatchPartials {
  float* gradients = nullptr;   // [slots, count]; places that no block owns stay zero
  double* metrics = nullptr;    // [rows, width]
  float* squares = nullptr;     // [combine_chunks(count)]
  unsigned* arrived = nullptr;  // [1], 0 between launches
  UpdateScalars* scalars = nullptr;
  int slots = 0, rows = 0, width = 0;

  static BatchPartials take(std::size_t count, int slots, int rows, int width, Arena& arena) {
    BatchPartials partials;
    partials.gradients = arena.take<float>(static_cast<std::size_t>(slots) * count).data;
    partials.metrics = arena.take<double>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(width)).data;
    partials.squares = arena.take<float>(combine_chunks(count)).data;
    partials.arrived = arena.take<unsigned>(1).data;
    partials.scalars = arena.take<UpdateScalars>(1).data;
    partials.slots = slots;
    partials.rows = rows;
    partials.width = width;
    return partials;
  }
};

#ifdef STAMPEDE_BLOCK_KERNELS
// Leaves the summed gradient in gradients [count] and the scalars of its update in partials.scalars. The block that
// arrives last knows every square sum: it measures the norm and decides. finish(sums [width], state) takes the metrics
// before that, so that it may stop the learner. combine_chunks(count) blocks of kCombineThreads.
template <class Finish>
struct CombinePartials {
  BatchPartials partials;
  float* gradients;  // [count]
  std::size_t count;
  OptimizerConfig config;
  float learning_rate;
  LearnerState* state;  // [1]
  Finish finish;

  DEVICE void operator()() const {
    if (state->stop != 0 || state->failed != 0) {
      if (blockIdx.x == 0 && threadIdx.x == 0) partials.scalars->active = 0;
      return;
    }
    SHARED_ARRAY(float, square, 2);
    combine(square);
    __syncthreads();
    if (threadIdx.x == 0) partials.squares[blockIdx.x] = square[0] + square[1];
    if (is_last_block(partials.arrived)) decide();
  }

 private:
  DEVICE void combine(float* square) const {
    SHARED_ARRAY(float, parts, kCombineThreads);
    const unsigned element = threadIdx.x % kCombineElements, part = threadIdx.x / kCombineElements;
    const std::size_t i = std::size_t{blockIdx.x} * kCombineElements + element;
    constexpr int kParts = kCombineThreads / kCombineElements;
    const int begin = static_cast<int>(part) * partials.slots / kParts;
    const int end = static_cast<int>(part + 1) * partials.slots / kParts;
    float total = 0.0f;
    if (i < count) {
#ifdef __CUDACC__
#pragma unroll 8
#endif
      for (int s = begin; s < end; ++s) total += partials.gradients[static_cast<std::size_t>(s) * count + i];
    }
    parts[threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.x >= kCombineElements) return;
    const float* const own = parts + element;
    const float gradient = (own[0] + own[kCombineElements]) + (own[2 * kCombineElements] + own[3 * kCombineElements]);
    if (i < count) gradients[i] = gradient;
    float sum = gradient * gradient;
    for (unsigned half = 16; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffu, sum, half);
    if (threadIdx.x % 32 == 0) square[threadIdx.x / 32] = sum;
  }

  DEVICE void decide() const {
    SHARED_ARRAY(double, squares, kCombineThreads);
    SHARED_ARRAY(double, metrics, kMostBlockMetrics);
    SHARED_ARRAY(double, corrections, 2);
    // By warps that have little to load.
    if (threadIdx.x == kCombineThreads - 64) corrections[0] = bias_correction(config, config.beta1, state->step + 1);
    if (threadIdx.x == kCombineThreads - 32) corrections[1] = bias_correction(config, config.beta2, state->step + 1);
    double total = 0.0;
    for (unsigned c = threadIdx.x; c < gridDim.x; c += kCombineThreads)
      total += static_cast<double>(partials.squares[c]);
    squares[threadIdx.x] = total;
    const int k = static_cast<int>(threadIdx.x) / 16;
    double sum = 0.0;
    for (int row = static_cast<int>(threadIdx.x) % 16; k < partials.width && row < partials.rows; row += 16) {
      sum += partials.metrics[row * partials.width + k];
    }
    for (unsigned half = 8; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffu, sum, half, 16);
    if (threadIdx.x % 16 == 0) metrics[k] = sum;
    for (unsigned half = kCombineThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) squares[threadIdx.x] += squares[threadIdx.x + half];
    }
    if (threadIdx.x != 0) return;
    finish(metrics, state);
    decide_update(config, learning_rate, static_cast<float>(sqrt(squares[0])), {corrections[0], corrections[1]}, state,
                  partials.scalars);
  }
};
#endif

}  // namespace stampede
