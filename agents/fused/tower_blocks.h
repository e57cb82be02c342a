// SPDX-License-Identifier: Apache-2.0
// Forward and backward pass of a tower over tiles of rows, on chip: weights and activations in shared memory, weight
// gradients in registers until a block has seen all its rows.
#pragma once

#include "agents/fused/tower.h"
#include "kernels/gemm_blocks.h"

// Work per row of a tower D-H-H-O: 6 H (D + H + O) FLOP, of which 6 H^2 in the three wide products. A thread's 8 x 4
// elements take 12 loads of 16 bytes per 128 multiply-adds: 0.75 bytes per FLOP, where a multiprocessor of sm_90 loads
// 0.5 at its full rate of multiply-adds. So these products reach two thirds of it, or more where broadcasts help.
namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS
using Pack4 = Pack<4>;

DEVICE Pack4 load4(const float* address) { return *reinterpret_cast<const Pack4*>(address); }
DEVICE void store4(float* address, const Pack4& pack) { *reinterpret_cast<Pack4*>(address) = pack; }

// The thread's index, read anew by every pass: what follows from it does not occupy registers during the others.
DEVICE int thread_index() {
#ifdef __CUDA_ARCH__
  int index;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
  __builtin_assume(index >= 0);  // divisions by powers of two are shifts
  return index;
#else
  return static_cast<int>(threadIdx.x);
#endif
}

// A tower's weights and a tile's rows in shared memory. Specialised where products run on tensor cores.
template <class Shape>
struct TowerMemory {
  static constexpr int kWide = Shape::kRows * Shape::kPitch, kNarrow = Shape::kRows * Shape::kNarrowPitch;
  static constexpr int kWeights =
      kNarrowColumns * Shape::kWidth + Shape::kWidth * (Shape::kPitch + Shape::kNarrowPitch);
  static constexpr int kFloats =
      kWeights + 2 * Shape::kWidth + kNarrowColumns + 2 * (kWide + kNarrow) + 3 * Shape::kThreads;

  float *w1, *w2, *w3;  // [inputs, kWidth], [kWidth, kPitch], [kWidth, kNarrowPitch]
  float *b1, *b2, *b3;
  float *x, *y;    // [kRows, kNarrowPitch]: inputs; outputs, then their gradient
  float *h1, *h2;  // [kRows, kPitch]: activations, then their gradients
  float* bias;     // [3, kThreads]: the threads' shares of the biases' gradients

  explicit DEVICE TowerMemory(float* base)
      : w1(base),
        w2(w1 + kNarrowColumns * Shape::kWidth),
        w3(w2 + Shape::kWidth * Shape::kPitch),
        b1(w3 + Shape::kWidth * Shape::kNarrowPitch),
        b2(b1 + Shape::kWidth),
        b3(b2 + Shape::kWidth),
        x(b3 + kNarrowColumns),
        y(x + kNarrow),
        h1(y + kNarrow),
        h2(h1 + kWide),
        bias(h2 + kWide) {}

  DEVICE void store_inputs(int row, const float (&inputs)[kNarrowColumns]) const {
    float* const to = x + row * Shape::kNarrowPitch;
    store4(to, {{inputs[0], inputs[1], inputs[2], inputs[3]}});
    store4(to + 4, {{inputs[4], inputs[5], inputs[6], inputs[7]}});
  }

  // What the padding of narrow rows carries, four floats each.
  DEVICE float* input_fields(int row) const { return x + row * Shape::kNarrowPitch + kNarrowColumns; }
  DEVICE float* output_fields(int row) const { return y + row * Shape::kNarrowPitch + kNarrowColumns; }
};

// The block's weights become those of a parameter block. Barriers before and after are the caller's.
template <class Shape>
DEVICE void load_weights(const FusedTower& tower, const float* parameters, const TowerMemory<Shape>& memory) {
  constexpr int kWidth = Shape::kWidth, kOutStride = 16;
  const int thread = thread_index();
  for (int e = thread; e < tower.inputs * kWidth; e += Shape::kThreads) memory.w1[e] = parameters[tower.weight[0] + e];
  for (int e = thread; e < kWidth * kWidth; e += Shape::kThreads) {
    memory.w2[e / kWidth * Shape::kPitch + e % kWidth] = parameters[tower.weight[1] + e];
  }
  for (int e = thread; e < kWidth * kNarrowColumns; e += Shape::kThreads) {
    const int k = e / kNarrowColumns, o = e % kNarrowColumns;
    memory.w3[k * Shape::kNarrowPitch + o] = parameters[tower.weight[2] + k * kOutStride + o];
  }
  if (thread < kWidth) {
    memory.b1[thread] = parameters[tower.bias[0] + thread];
    memory.b2[thread] = parameters[tower.bias[1] + thread];
  }
  if (thread < kNarrowColumns) memory.b3[thread] = parameters[tower.bias[2] + thread];
}

// Inputs are read in packs of four: columns behind those that the tower has become 0 for all tiles. Barriers are the
// caller's.
template <class Shape>
DEVICE void clear_unused_inputs(const FusedTower& tower, const TowerMemory<Shape>& memory) {
  const int row = thread_index();
  if (row >= Shape::kRows) return;
  for (int k = tower.inputs; k < kNarrowColumns; ++k) memory.x[row * Shape::kNarrowPitch + k] = 0.0f;
}

// Which elements of a wide result a thread owns: rows row + i * kRowGroups, and four columns. A warp covers 4 row
// groups and 8 column groups, so that a load of it touches few addresses in different banks.
template <class Shape>
struct WidePlace {
  static constexpr int kWarpsAcross = Shape::kColumnGroups / 8;
  int row, column;

  DEVICE WidePlace() {
    const int thread = thread_index(), lane = thread % 32, warp = thread / 32;
    row = warp / kWarpsAcross * 4 + lane / 8;
    column = warp % kWarpsAcross * 8 + lane % 8;
  }
};

// y = activation(bias + x w), every sum an ascending chain of fused multiply-adds: the bits of linear_forward().
template <class Shape>
DEVICE void forward_layer(const float* x, int x_pitch, int depth, const float* w, int w_pitch, const float* bias,
                          GemmActivation activation, float* y) {
  constexpr int kRows = Shape::kThreadRows;
  const WidePlace<Shape> place;
  const float* const left = x + place.row * x_pitch;
  const float* const right = w + 4 * place.column;
  const int step = Shape::kRowGroups * x_pitch;
  float sums[kRows][4];
  const Pack4 start = load4(bias + 4 * place.column);
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < 4; ++j) sums[i][j] = start.value[j];
  }
  int k = 0;
#ifdef __CUDACC__
#pragma unroll 1
#endif
  for (; k + 4 <= depth; k += 4) {
    Pack4 b[4];
    for (int s = 0; s < 4; ++s) b[s] = load4(right + (k + s) * w_pitch);
    for (int i = 0; i < kRows; ++i) {
      const Pack4 a = load4(left + i * step + k);
      for (int s = 0; s < 4; ++s) {
        for (int j = 0; j < 4; ++j) sums[i][j] = fused(a.value[s], b[s].value[j], sums[i][j]);
      }
    }
  }
  const float* tail = right + k * w_pitch;
  for (int rest = depth % 4; rest > 0; --rest, ++k, tail += w_pitch) {
    const Pack4 b = load4(tail);
    for (int i = 0; i < kRows; ++i) {
      const float a = left[i * step + k];
      for (int j = 0; j < 4; ++j) sums[i][j] = fused(a, b.value[j], sums[i][j]);
    }
  }
  float* const out = y + place.row * Shape::kPitch + 4 * place.column;
  for (int i = 0; i < kRows; ++i) {
    store4(out + i * Shape::kRowGroups * Shape::kPitch, {{sums[i][0], sums[i][1], sums[i][2], sums[i][3]}});
  }
  // From memory again: the sums' registers are free for the divisions of tanh.
#ifdef __CUDACC__
#pragma unroll 1
#endif
  for (int i = 0; i < kRows; ++i) {
    float* const values = out + i * Shape::kRowGroups * Shape::kPitch;
    Pack4 pack = load4(values);
    for (int j = 0; j < 4; ++j) pack.value[j] = activate(pack.value[j], activation);
    store4(values, pack);
  }
}

// In place: x = activation'(x) * (dy w^T); w has a row of `depth` weights for each column of x. Here a thread's columns
// are kColumnGroups apart, for neighbours read neighbouring rows of w.
template <class Shape>
DEVICE void backward_layer(const float* dy, int dy_pitch, int depth, const float* w, int w_pitch,
                           GemmActivation activation, float* x) {
  constexpr int kRows = Shape::kThreadRows;
  const WidePlace<Shape> place;
  const float* const left = dy + place.row * dy_pitch;
  const float* const right = w + place.column * w_pitch;
  const int step = Shape::kRowGroups * dy_pitch, next = Shape::kColumnGroups * w_pitch;
  float sums[kRows][4] = {};
  int o = 0;
#ifdef __CUDACC__
#pragma unroll 1
#endif
  for (; o + 4 <= depth; o += 4) {
    Pack4 b[4];
    for (int j = 0; j < 4; ++j) b[j] = load4(right + j * next + o);
    for (int i = 0; i < kRows; ++i) {
      const Pack4 a = load4(left + i * step + o);
      for (int s = 0; s < 4; ++s) {
        for (int j = 0; j < 4; ++j) sums[i][j] = fused(a.value[s], b[j].value[s], sums[i][j]);
      }
    }
  }
  for (int rest = depth % 4; rest > 0; --rest, ++o) {
    float b[4];
    for (int j = 0; j < 4; ++j) b[j] = right[j * next + o];
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < 4; ++j) sums[i][j] = fused(left[i * step + o], b[j], sums[i][j]);
    }
  }
  float* const out = x + place.row * Shape::kPitch + place.column;
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < 4; ++j) {
      float& value = out[i * Shape::kRowGroups * Shape::kPitch + j * Shape::kColumnGroups];
      value = differentiate(value, sums[i][j], activation);
    }
  }
}

// y = b3 + h2 w3: a thread computes four outputs of a row.
template <class Shape>
DEVICE void forward_head(const FusedTower& tower, const TowerMemory<Shape>& memory) {
  const int thread = thread_index(), row = thread % Shape::kRows, first = thread / Shape::kRows * 4;
  if (first >= tower.outputs) return;
  const float* const x = memory.h2 + row * Shape::kPitch;
  const float* const w = memory.w3 + first;
  Pack4 sums = load4(memory.b3 + first);
  for (int k = 0; k < Shape::kWidth; k += 4) {
    const Pack4 a = load4(x + k);
    for (int s = 0; s < 4; ++s) {
      const Pack4 b = load4(w + (k + s) * Shape::kNarrowPitch);
      for (int j = 0; j < 4; ++j) sums.value[j] = fused(a.value[s], b.value[j], sums.value[j]);
    }
  }
  store4(memory.y + row * Shape::kNarrowPitch + first, sums);
}

// Outputs y of inputs x. The caller's barrier stands before it; one stands behind it.
template <class Shape>
DEVICE void forward_tower(const FusedTower& tower, const TowerMemory<Shape>& memory) {
  forward_layer<Shape>(memory.x, Shape::kNarrowPitch, tower.inputs, memory.w1, Shape::kWidth, memory.b1,
                       tower.activation, memory.h1);
  __syncthreads();
  forward_layer<Shape>(memory.h1, Shape::kPitch, Shape::kWidth, memory.w2, Shape::kPitch, memory.b2, tower.activation,
                       memory.h2);
  __syncthreads();
  forward_head<Shape>(tower, memory);
  __syncthreads();
}
#endif

}  // namespace stampede
