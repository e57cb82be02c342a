// SPDX-License-Identifier: Apache-2.0
// One chunk of a fixed-shape reduction: the plain CPU loop and the CUDA block that computes the same bits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/block.h"
#include "kernels/hd.h"

namespace stampede {

// The shape: values are cut into chunks; lane l of a chunk folds values l, l + 256, l + 512, ... of it in ascending
// order; then lane l takes lane l + 128, l + 64, ..., l + 1. The chunks' results are reduced in the same way.
inline constexpr unsigned kReduceLanes = 256;
inline constexpr std::size_t kReduceChunk = 4096;

struct SumOp {
  using Value = float;
  static HD float identity() { return 0.0f; }
  static HD float combine(float a, float b) { return a + b; }
};

struct MinOp {
  using Value = float;
  static HD float identity() { return INFINITY; }
  static HD float combine(float a, float b) { return (a < b) | (a != a) ? a : b; }
};

struct MaxOp {
  using Value = float;
  static HD float identity() { return -INFINITY; }
  static HD float combine(float a, float b) { return (a > b) | (a != a) ? a : b; }
};

struct CountOp {
  using Value = std::int32_t;
  static HD std::int32_t identity() { return 0; }
  static HD std::int32_t combine(std::int32_t a, std::int32_t b) { return a + b; }
};

template <class T>
struct Elements {
  const T* data;
  HD T operator()(std::size_t i) const { return data[i]; }
};

struct Products {
  const float *x, *y;
  HD float operator()(std::size_t i) const { return x[i] * y[i]; }
};

struct FlagBits {
  const std::uint8_t* data;
  std::uint8_t mask;
  HD std::int32_t operator()(std::size_t i) const { return (data[i] & mask) != 0; }
};

template <class Op, class Input>
typename Op::Value reduce_chunk(Input input, std::size_t begin, std::size_t end) {
  typename Op::Value lanes[kReduceLanes];
  for (unsigned l = 0; l < kReduceLanes; ++l) lanes[l] = Op::identity();
  std::size_t i = begin;
  for (; i + kReduceLanes <= end; i += kReduceLanes) {
    for (unsigned l = 0; l < kReduceLanes; ++l) lanes[l] = Op::combine(lanes[l], input(i + l));
  }
  for (unsigned l = 0; i + l < end; ++l) lanes[l] = Op::combine(lanes[l], input(i + l));
  for (unsigned width = kReduceLanes / 2; width > 0; width /= 2) {
    for (unsigned l = 0; l < width; ++l) lanes[l] = Op::combine(lanes[l], lanes[l + width]);
  }
  return lanes[0];
}

#ifdef STAMPEDE_BLOCK_KERNELS
// Folds one value per thread of a block of kReduceLanes threads; thread 0 returns the result. Every thread must call
// it.
template <class Op>
DEVICE typename Op::Value reduce_block(typename Op::Value value) {
  using Value = typename Op::Value;
  SHARED_ARRAY(Value, lanes, kReduceLanes);
  const unsigned l = threadIdx.x;
  lanes[l] = value;
  __syncthreads();
  for (unsigned width = kReduceLanes / 2; width >= 32; width /= 2) {
    if (l < width) lanes[l] = Op::combine(lanes[l], lanes[l + width]);
    __syncthreads();
  }
  if (l >= 32) return value;
  value = lanes[l];
  for (unsigned width = 16; width > 0; width /= 2) {
    value = Op::combine(value, __shfl_down_sync(0xffffffffu, value, width));
  }
  return value;
}

// One block of kReduceLanes threads per chunk.
template <class Op, class Input>
struct ReduceChunkKernel {
  Input input;
  std::size_t count;
  typename Op::Value* partials;  // [grid]

  DEVICE void operator()() const {
    const std::size_t begin = blockIdx.x * kReduceChunk;
    const std::size_t end = begin + kReduceChunk < count ? begin + kReduceChunk : count;
    typename Op::Value value = Op::identity();
    for (std::size_t i = begin + threadIdx.x; i < end; i += kReduceLanes) value = Op::combine(value, input(i));
    value = reduce_block<Op>(value);
    if (threadIdx.x == 0) partials[blockIdx.x] = value;
  }
};
#endif

}  // namespace stampede
