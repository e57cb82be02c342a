// SPDX-License-Identifier: Apache-2.0
// The weight gradients of a tower: sums in the registers of a block over all its tiles, then one partial gradient.
#pragma once

#include "agents/fused/tower_blocks.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS
// A thread's share of the gradients of the block's rows. Of narrow layers it owns the eight weights at one hidden unit,
// for every kNarrowSplits-th part of a tile.
template <class Shape>
struct TowerGradient {
  static constexpr int kNarrowSplits = Shape::kThreads / Shape::kWidth;

  float hidden[Shape::kGradientRows][Shape::kGradientColumns] = {};
  float input[kNarrowColumns] = {}, output[kNarrowColumns] = {};

  // Registers are for weights: the shares of biases lie in shared memory.
  explicit DEVICE TowerGradient(const TowerMemory<Shape>& memory) {
    for (int l = 0; l < 3; ++l) memory.bias[l * Shape::kThreads + thread_index()] = 0.0f;
  }

  // Backward pass of a tile whose y holds d(loss)/d(outputs), and in `columns` - outputs columns behind them other
  // derivatives that only need adding up. Barriers stand inside, and one behind it.
  DEVICE void add_tile(const FusedTower& tower, int columns, const TowerMemory<Shape>& memory) {
    add_narrow(memory.h2, memory.y, tower.outputs, output);
    memory.bias[2 * Shape::kThreads + thread_index()] += sum_columns(memory.y, columns);
    __syncthreads();
    backward_layer<Shape>(memory.y, Shape::kNarrowPitch, tower.outputs, memory.w3, Shape::kNarrowPitch,
                          tower.activation, memory.h2);
    __syncthreads();
    add_hidden(memory.h1, memory.h2);
    memory.bias[Shape::kThreads + thread_index()] += add_narrow(memory.h2, nullptr, 0, output);
    __syncthreads();
    backward_layer<Shape>(memory.h2, Shape::kPitch, Shape::kWidth, memory.w2, Shape::kPitch, tower.activation,
                          memory.h1);
    __syncthreads();
    memory.bias[thread_index()] += add_narrow(memory.h1, memory.x, tower.inputs, input);
    __syncthreads();
  }

  // Adds up what the threads hold and writes it to the tower's places of partial [P]; derivatives behind the outputs go
  // to partial + other. Overwrites h1 and h2.
  DEVICE void store(const FusedTower& tower, int columns, std::size_t other, const TowerMemory<Shape>& memory,
                    float* partial) const {
    stage(memory);
    __syncthreads();
    store_hidden(partial + tower.weight[1], memory.h1);
    store_narrow(tower, memory.h2, partial);
    store_biases(tower, columns, other, memory.bias, partial);
  }

 private:
  // The place of the hidden gradient that a thread owns: rows 4 row + {0, 1, 2, 3} of both halves, columns alike.
  struct HiddenPlace {
    int split, row, column;
    DEVICE HiddenPlace() {
      const int thread = thread_index(), own = thread % Shape::kGradientThreads;
      const int lane = own % 32, warp = own / 32;
      split = thread / Shape::kGradientThreads;
      row = (warp / 2 * 4 + lane / 8) * 4;
      column = (warp % 2 * 8 + lane % 8) * 4;
    }
    static DEVICE int row_of(int i) { return i / 4 * (Shape::kWidth / 2) + i % 4; }
    static DEVICE int column_of(int j) { return j / 4 * (Shape::kWidth / 2) + j % 4; }
  };

  DEVICE void add_hidden(const float* x, const float* dy) {
    constexpr int kHalf = Shape::kWidth / 2, kPacks = Shape::kGradientColumns / 4;
    constexpr int kCount = Shape::kRows / Shape::kSplits;
    const HiddenPlace place;
#ifdef __CUDACC__
#pragma unroll 4
#endif
    for (int r = place.split * kCount; r < (place.split + 1) * kCount; ++r) {
      const float* const left = x + r * Shape::kPitch + place.row;
      const float* const right = dy + r * Shape::kPitch + place.column;
      const Pack4 a[2] = {load4(left), load4(left + kHalf)};
      Pack4 b[kPacks];
      for (int q = 0; q < kPacks; ++q) b[q] = load4(right + q * kHalf);
      for (int i = 0; i < Shape::kGradientRows; ++i) {
        for (int j = 0; j < Shape::kGradientColumns; ++j) {
          hidden[i][j] = fused(a[i / 4].value[i % 4], b[j / 4].value[j % 4], hidden[i][j]);
        }
      }
    }
  }

  // sums[c] += sum_r wide[r, unit] narrow[r, c] over the thread's part of the rows; returns sum_r wide[r, unit].
  static DEVICE float add_narrow(const float* wide, const float* narrow, int columns, float (&sums)[kNarrowColumns]) {
    constexpr int kCount = Shape::kRows / kNarrowSplits;
    const int unit = thread_index() % Shape::kWidth;
    const int first = thread_index() / Shape::kWidth * kCount;
    float total = 0.0f;
#ifdef __CUDACC__
#pragma unroll 4
#endif
    for (int r = first; r < first + kCount; ++r) {
      const float value = wide[r * Shape::kPitch + unit];
      total += value;
      for (int c = 0; c < kNarrowColumns; c += 4) {
        if (c >= columns) break;
        const Pack4 pack = load4(narrow + r * Shape::kNarrowPitch + c);
        for (int j = 0; j < 4; ++j) sums[c + j] = fused(value, pack.value[j], sums[c + j]);
      }
    }
    return total;
  }

  static DEVICE float sum_columns(const float* y, int columns) {
    const int column = thread_index() % kNarrowColumns;
    float total = 0.0f;
    if (column >= columns) return total;
    for (int r = thread_index() / kNarrowColumns; r < Shape::kRows; r += kColumnParts) {
      total += y[r * Shape::kNarrowPitch + column];
    }
    return total;
  }

  static constexpr int kColumnParts = Shape::kThreads / kNarrowColumns;
  // Where the parts of narrow gradients are staged.
  static constexpr int kNarrowFloats = kNarrowColumns * Shape::kThreads;
  static_assert(2 * kNarrowFloats <= TowerMemory<Shape>::kWide);

  DEVICE void stage(const TowerMemory<Shape>& memory) const {
    const int thread = thread_index();
    float* const narrow = memory.h2;
    for (int c = 0; c < kNarrowColumns; ++c) {
      narrow[c * Shape::kThreads + thread] = input[c];
      narrow[kNarrowFloats + c * Shape::kThreads + thread] = output[c];
    }
    const HiddenPlace place;
    if (place.split == 0) return;
    for (int i = 0; i < Shape::kGradientRows; ++i) {
      for (int j = 0; j < Shape::kGradientColumns; ++j) {
        memory.h1[(place.row + place.row_of(i)) * Shape::kPitch + place.column + place.column_of(j)] = hidden[i][j];
      }
    }
  }

  DEVICE void store_hidden(float* weights, const float* staged) const {
    static_assert(Shape::kSplits <= 2);
    const HiddenPlace place;
    if (place.split != 0) return;
    for (int i = 0; i < Shape::kGradientRows; ++i) {
      for (int j = 0; j < Shape::kGradientColumns; ++j) {
        const int row = place.row + place.row_of(i), column = place.column + place.column_of(j);
        const float rest = Shape::kSplits == 2 ? staged[row * Shape::kPitch + column] : 0.0f;
        weights[row * Shape::kWidth + column] = hidden[i][j] + rest;
      }
    }
  }

  static DEVICE float sum_splits(const float* parts) {
    float total = 0.0f;
    for (int s = 0; s < kNarrowSplits; ++s) total += parts[s * Shape::kWidth];
    return total;
  }

  static DEVICE void store_narrow(const FusedTower& tower, const float* staged, float* partial) {
    constexpr int kWidth = Shape::kWidth, kOutStride = 16;
    const int unit = thread_index() % kWidth;
    for (int c = thread_index() / kWidth; c < kNarrowColumns; c += kNarrowSplits) {
      const float* const parts = staged + c * Shape::kThreads + unit;
      if (c < tower.inputs) partial[tower.weight[0] + c * kWidth + unit] = sum_splits(parts);
      if (c < tower.outputs) partial[tower.weight[2] + unit * kOutStride + c] = sum_splits(parts + kNarrowFloats);
    }
  }

  static DEVICE void store_biases(const FusedTower& tower, int columns, std::size_t other, const float* bias,
                                  float* partial) {
    const int thread = thread_index();
    if (thread < Shape::kWidth) {
      partial[tower.bias[0] + thread] = sum_splits(bias + thread);
      partial[tower.bias[1] + thread] = sum_splits(bias + Shape::kThreads + thread);
    }
    if (thread >= columns) return;
    float total = 0.0f;
    for (int s = 0; s < kColumnParts; ++s) total += bias[2 * Shape::kThreads + s * kNarrowColumns + thread];
    partial[thread < tower.outputs ? tower.bias[2] + thread : other + (thread - tower.outputs)] = total;
  }
};
#endif

}  // namespace stampede
