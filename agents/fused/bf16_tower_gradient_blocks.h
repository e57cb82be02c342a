// SPDX-License-Identifier: Apache-2.0
// Backward pass of a tower on tensor cores: derivatives rounded to bf16 where a product reads them, weight gradients
// summed in fp32 in the registers of a block over all its tiles.
#pragma once

#include "agents/fused/bf16_tower_blocks.h"
#include "agents/fused/tower_gradient_blocks.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS
// sums * activation'(.) from the activated values, of two tiles of eight columns.
DEVICE void differentiate_sums(const float (&sums)[2][4], const Fragment& activated, GemmActivation activation,
                               Fragment& fragment) {
  const auto pack = [&](const auto& differentiated) {
    UNROLL
    for (int w = 0; w < 4; ++w) {
      const float(&half)[4] = sums[w / 2];
      fragment[w] = pack_bf16(differentiated(low_value(activated[w]), half[w % 2 * 2]),
                              differentiated(high_value(activated[w]), half[w % 2 * 2 + 1]));
    }
  };
  if (activation == GemmActivation::kTanh) {
    return pack([](float h, float sum) { return differentiate(h, sum, GemmActivation::kTanh); });
  }
  pack([floor = lowest_output(activation)](float h, float sum) { return h <= floor ? 0.0f : sum; });
}

// From the outputs' derivatives y of the warp's rows to those of the hidden layers, dh2 and dh1. The outputs' keep 16
// bits, like observations: dy holds what rounding leaves and what it has lost.
template <class Shape>
DEVICE void backward_tower(const FusedTower& tower, const TowerMemory<Shape>& memory) {
  const WarpRows rows;
  Fragment dy, dh2[Shape::kTiles];
  std::uint32_t b[4];  // weights; of the head those at the units of two tiles
  UNROLL
  for (int w = 0; w < 2; ++w) {
    const float* const y = memory.y + rows.sum(2 * w, Shape::kNarrowPitch);
    split_pair(y[0], y[1], dy[w], dy[2 + w]);
  }
  store_fragment(dy, rows, Shape::kInputPitch, memory.dy);
  UNROLL
  for (int tile = 0; tile < Shape::kTiles; ++tile) {
    if (tile % 2 == 0) load_matrices(b, memory.w3 + (16 * tile + thread_index() % 32) * memory.kHeadPitch);
    float sums[2][4] = {};
    UNROLL
    for (int n = 0; n < 2; ++n) mma_m16n8k16(sums[n], dy, b[tile % 2 * 2 + n], b[tile % 2 * 2 + n]);
    Fragment activated;
    load_matrices(activated, stacked(memory.h2, Shape::kPitch, rows.first, 16 * tile));
    differentiate_sums(sums, activated, tower.activation, dh2[tile]);
    store_fragment(dh2[tile], rows, Shape::kPitch, memory.dh2 + 8 * tile);
  }
  const std::uint32_t* weights = side_by_side(memory.w2, Shape::kPitch, 0, 0);
  const std::uint32_t* h1 = stacked(memory.h1, Shape::kPitch, rows.first, 0);
#ifdef __CUDACC__
#pragma unroll 1
#endif
  for (int tile = 0; tile < Shape::kTiles; ++tile, weights += 16 * Shape::kPitch, h1 += 8) {
    float sums[2][4] = {};
    UNROLL
    for (int k = 0; k < Shape::kTiles; ++k) {
      load_matrices(b, weights + 8 * k);
      UNROLL
      for (int n = 0; n < 2; ++n) mma_m16n8k16(sums[n], dh2[k], b[2 * n], b[2 * n + 1]);
    }
    Fragment activated, dh1;
    load_matrices(activated, h1);
    differentiate_sums(sums, activated, tower.activation, dh1);
    store_fragment(dh1, rows, Shape::kPitch, memory.dh1 + 8 * tile);
  }
}

// A warp's share of the gradients of the block's rows: half the rows and a quarter of the columns of the hidden
// weights; of the narrow ones those at sixteen hidden units. Where there are more warps than units, one half of them
// takes the first layer and the other one the head.
template <int kHidden>
struct TowerGradient<Bf16TowerShape<kHidden>> {
  using Shape = Bf16TowerShape<kHidden>;
  using Memory = TowerMemory<Shape>;
  static constexpr int kTiles = Shape::kGradientTiles;

  float hidden[kTiles][kTiles][4] = {};                      // [16 rows, 8 columns]
  float input[4] = {}, hidden_bias[4] = {}, output[4] = {};  // [16 units, 8 columns]
  float output_bias = 0.0f;                                  // of column thread % 8, for every 32nd row of a tile

  explicit DEVICE TowerGradient(const Memory&) {}

  // As for fp32. Barriers stand inside, and one behind it.
  DEVICE void add_tile(const FusedTower& tower, int columns, const Memory& memory) {
    backward_tower<Shape>(tower, memory);
    output_bias += sum_columns(memory.y, columns);
    __syncthreads();
    add_hidden(memory);
    add_narrow(memory);
    __syncthreads();
  }

  // As for fp32. Overwrites y.
  DEVICE void store(const FusedTower& tower, int columns, std::size_t other, const Memory& memory,
                    float* partial) const {
    memory.y[thread_index()] = output_bias;
    __syncthreads();
    store_hidden(partial + tower.weight[1]);
    store_narrow(tower, partial);
    const int column = thread_index();
    if (column >= columns) return;
    float total = 0.0f;
    for (int s = 0; s < Shape::kThreads / kNarrowColumns; ++s) total += memory.y[s * kNarrowColumns + column];
    partial[column < tower.outputs ? tower.bias[2] + static_cast<std::size_t>(column)
                                   : other + static_cast<std::size_t>(column - tower.outputs)] = total;
  }

 private:
  // The first row and column of a warp's hidden weights.
  static DEVICE int first_row() { return thread_index() / 128 * (kHidden / 2); }
  static DEVICE int first_column() { return thread_index() / 32 % 4 * (kHidden / 4); }
  // The first of a warp's hidden units, and which narrow layers are its own.
  static DEVICE int first_unit() { return thread_index() / 32 % Shape::kTiles * 16; }
  static DEVICE bool owns_inputs() { return thread_index() / 32 < Shape::kTiles; }
  static DEVICE bool owns_outputs() { return Shape::kTiles == 8 || !owns_inputs(); }

  static DEVICE float sum_columns(const float* y, int columns) {
    const int column = thread_index() % kNarrowColumns;
    float total = 0.0f;
    if (column >= columns) return total;
    for (int r = thread_index() / kNarrowColumns; r < Shape::kRows; r += Shape::kThreads / kNarrowColumns) {
      total += y[r * Shape::kNarrowPitch + column];
    }
    return total;
  }

  DEVICE void add_hidden(const Memory& memory) {
    constexpr int kStep = 16 * Shape::kPitch;
    const std::uint32_t* left = side_by_side(memory.h1, Shape::kPitch, 0, first_row());
    const std::uint32_t* right = stacked(memory.dh2, Shape::kPitch, 0, first_column());
#ifdef __CUDACC__
#pragma unroll 2
#endif
    for (int r = 0; r < Shape::kRows; r += 16, left += kStep, right += kStep) {
      std::uint32_t b[kTiles / 2][4];
      UNROLL
      for (int j = 0; j < kTiles / 2; ++j) load_transposed(b[j], right + 8 * j);
      UNROLL
      for (int i = 0; i < kTiles; ++i) {
        Fragment a;
        load_transposed(a, left + 8 * i);
        UNROLL
        for (int j = 0; j < kTiles; ++j) {
          mma_m16n8k16(hidden[i][j], a, b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
      }
    }
  }

  DEVICE void add_narrow(const Memory& memory) {
    const std::uint32_t* x = stacked(memory.x, Shape::kInputPitch, 0, 0);
    const std::uint32_t* dy = stacked(memory.dy, Shape::kInputPitch, 0, 0);
    const std::ptrdiff_t unit = side_by_side(memory.h2, Shape::kPitch, 0, first_unit()) - memory.h2;
#ifdef __CUDACC__
#pragma unroll 1
#endif
    for (int r = 0; r < Shape::kRows; r += 16, x += 16 * Shape::kInputPitch, dy += 16 * Shape::kInputPitch) {
      const std::ptrdiff_t rows = r * Shape::kPitch + unit;
      Fragment a;
      std::uint32_t b[4];
      if (owns_inputs()) {
        load_transposed(b, x);
        load_transposed(a, memory.dh1 + rows);
        mma_m16n8k16(input, a, b[0], b[1]);
        mma_m16n8k16(input, a, b[2], b[3]);
        load_transposed(a, memory.dh2 + rows);
        mma_m16n8k16(hidden_bias, a, b[0], b[1]);  // the column of ones
      }
      if (owns_outputs()) {
        load_transposed(b, dy);
        load_transposed(a, memory.h2 + rows);
        mma_m16n8k16(output, a, b[0], b[1]);
        mma_m16n8k16(output, a, b[2], b[3]);
      }
    }
  }

  DEVICE void store_hidden(float* weights) const {
    const int lane = thread_index() % 32, row = first_row() + lane / 4, column = first_column() + lane % 4 * 2;
    UNROLL
    for (int i = 0; i < kTiles; ++i) {
      UNROLL
      for (int j = 0; j < kTiles; ++j) {
        UNROLL
        for (int e = 0; e < 4; ++e) {
          weights[(row + 16 * i + e / 2 * 8) * kHidden + column + 8 * j + e % 2] = hidden[i][j][e];
        }
      }
    }
  }

  DEVICE void store_narrow(const FusedTower& tower, float* partial) const {
    constexpr int kOutStride = 16;
    const int lane = thread_index() % 32;
    UNROLL
    for (int e = 0; e < 4; ++e) {
      const int unit = first_unit() + lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
      if (owns_inputs() && column < tower.inputs) partial[tower.weight[0] + column * kHidden + unit] = input[e];
      if (owns_inputs() && column == kBf16Inputs) {
        partial[tower.bias[0] + unit] = input[e];
        partial[tower.bias[1] + unit] = hidden_bias[e];
      }
      if (owns_outputs() && column < tower.outputs) partial[tower.weight[2] + unit * kOutStride + column] = output[e];
    }
  }
};
#endif

}  // namespace stampede
