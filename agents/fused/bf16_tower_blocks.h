// SPDX-License-Identifier: Apache-2.0
// Forward pass of a tower over tiles of rows on tensor cores: bf16 weights and activations, fp32 sums. Outputs have the
// bits of a rollout in bf16.
#pragma once

#include "agents/fused/bf16_rows.h"
#include "agents/fused/tower_blocks.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS
// Weights once, row by row: a fragment is read either way round. Activations and derivatives of all layers lie side by
// side, so that a tile's weight gradients need one barrier before them.
template <int kHidden>
struct TowerMemory<Bf16TowerShape<kHidden>> {
  using Shape = Bf16TowerShape<kHidden>;
  static constexpr int kWide = Shape::kRows * Shape::kPitch, kInputs = Shape::kRows * Shape::kInputPitch;
  struct alignas(16) Words {
    std::uint32_t word[4];
  };
  static constexpr int kHeadPitch = kNarrowColumns / 2;  // words of a row of the head's weights
  static constexpr int kWeights = (kInputTile + kHidden) * Shape::kPitch + kHidden * kHeadPitch;
  static constexpr int kFields = 4;
  static constexpr int kFloats =
      kWeights + kHidden + kNarrowColumns + 2 * kInputs + 4 * kWide + Shape::kRows * (kFields + Shape::kNarrowPitch);

  std::uint32_t *w1, *w2, *w3;         // [kInputTile, kPitch], [kHidden, kPitch], [kHidden, kHeadPitch]
  std::uint32_t *x, *dy;               // [kRows, kInputPitch]
  std::uint32_t *h1, *h2, *dh1, *dh2;  // [kRows, kPitch]
  float *b2, *b3;
  float *fields, *y;  // [kRows, kFields], [kRows, kNarrowPitch]: outputs, then their derivatives

  explicit DEVICE TowerMemory(float* base)
      : w1(reinterpret_cast<std::uint32_t*>(base)),
        w2(w1 + kInputTile * Shape::kPitch),
        w3(w2 + kHidden * Shape::kPitch),
        x(w3 + kHidden * kHeadPitch),
        dy(x + kInputs),
        h1(dy + kInputs),
        h2(h1 + kWide),
        dh1(h2 + kWide),
        dh2(dh1 + kWide),
        b2(reinterpret_cast<float*>(dh2 + kWide)),
        b3(b2 + kHidden),
        fields(b3 + kNarrowColumns),
        y(fields + Shape::kRows * kFields) {}

  DEVICE void store_inputs(int row, float (&inputs)[kNarrowColumns]) const {
    std::uint32_t words[kNarrowColumns];
    split_row(inputs, words);
    auto* const to = reinterpret_cast<Words*>(x + row * Shape::kInputPitch);
    to[0] = {{words[0], words[1], words[2], words[3]}};
    to[1] = {{words[4], words[5], words[6], words[7]}};
  }

  DEVICE float* input_fields(int row) const { return fields + row * kFields; }
  DEVICE float* output_fields(int row) const { return y + row * Shape::kNarrowPitch + kNarrowColumns; }
};

// A lane's part of a warp's rows. Every pass makes its own: it does not occupy registers during the others.
struct WarpRows {
  int first, group, quarter;

  DEVICE WarpRows() {
    const int thread = thread_index();
    first = thread / 32 * 16;
    group = thread % 32 / 4;
    quarter = thread % 4;
  }
  // The place of a fragment's word, or of a sum, in an array with rows of `pitch`.
  DEVICE int word(int w, int pitch) const { return (first + group + w % 2 * 8) * pitch + w / 2 * 4 + quarter; }
  DEVICE int sum(int e, int pitch) const { return (first + group + e / 2 * 8) * pitch + 2 * quarter + e % 2; }
};

DEVICE void store_fragment(const Fragment& fragment, const WarpRows& rows, int pitch, std::uint32_t* to) {
  UNROLL
  for (int w = 0; w < 4; ++w) to[rows.word(w, pitch)] = fragment[w];
}

template <int kHidden>
DEVICE void load_weights(const FusedTower& tower, const float* parameters,
                         const TowerMemory<Bf16TowerShape<kHidden>>& memory) {
  constexpr int kThreads = Bf16TowerShape<kHidden>::kThreads, kPitch = Bf16TowerShape<kHidden>::kPitch;
  constexpr int kOutStride = 16, kWords = kHidden / 2, kHeadWords = kNarrowColumns / 2;
  const int thread = thread_index();
  const auto pair = [&](std::size_t offset) { return pack_bf16(parameters[offset], parameters[offset + 1]); };
  for (int e = thread; e < kInputTile * kWords; e += kThreads) {
    const int k = e / kWords, column = e % kWords * 2, observation = observation_of_input(k);
    const bool bias = observation == kBf16Inputs, none = observation < 0 || (!bias && observation >= tower.inputs);
    const std::size_t row = bias ? tower.bias[0] : tower.weight[0] + static_cast<std::size_t>(observation * kHidden);
    memory.w1[k * kPitch + e % kWords] = none ? 0u : pair(row + static_cast<std::size_t>(column));
  }
  for (int e = thread; e < kHidden * kWords; e += kThreads) {
    memory.w2[e / kWords * kPitch + e % kWords] = pair(tower.weight[1] + static_cast<std::size_t>(2 * e));
  }
  for (int e = thread; e < kHidden * kHeadWords; e += kThreads) {
    memory.w3[e] = pair(tower.weight[2] + static_cast<std::size_t>(e / kHeadWords * kOutStride + e % kHeadWords * 2));
  }
  if (thread < kHidden) memory.b2[thread] = parameters[tower.bias[1] + static_cast<std::size_t>(thread)];
  if (thread < kNarrowColumns) memory.b3[thread] = parameters[tower.bias[2] + static_cast<std::size_t>(thread)];
}

// Leaves the first layer's outputs of the warp's rows in memory, and as the fragments of the second layer's inputs.
template <class Shape>
DEVICE void forward_inputs(const FusedTower& tower, const TowerMemory<Shape>& memory, const WarpRows& rows,
                           Fragment (&hidden)[Shape::kTiles]) {
  Fragment input;
  load_matrices(input, stacked(memory.x, Shape::kInputPitch, rows.first, 0));
  const std::uint32_t* const weights = stacked(memory.w1, Shape::kPitch, 0, 0);
  UNROLL
  for (int tile = 0; tile < Shape::kTiles; ++tile) {
    std::uint32_t b[4];
    load_transposed(b, weights + 8 * tile);
    float sums[2][4] = {};
    UNROLL
    for (int n = 0; n < 2; ++n) mma_m16n8k16(sums[n], input, b[2 * n], b[2 * n + 1]);
    activate_sums(sums, tower.activation, hidden[tile]);
    store_fragment(hidden[tile], rows, Shape::kPitch, memory.h1 + 8 * tile);
  }
}

// Sixteen columns of the second layer.
template <class Shape>
DEVICE void forward_hidden(const FusedTower& tower, const TowerMemory<Shape>& memory, const WarpRows& rows, int tile,
                           const Fragment (&hidden)[Shape::kTiles], Fragment& output) {
  const std::uint32_t* const weights = stacked(memory.w2, Shape::kPitch, 0, 16 * tile);
  float sums[2][4];
  UNROLL
  for (int n = 0; n < 2; ++n) {
    UNROLL
    for (int e = 0; e < 4; ++e) sums[n][e] = memory.b2[16 * tile + 8 * n + 2 * rows.quarter + e % 2];
  }
  UNROLL
  for (int k = 0; k < Shape::kTiles; ++k) {
    std::uint32_t b[4];
    load_transposed(b, weights + 16 * k * Shape::kPitch);
    UNROLL
    for (int n = 0; n < 2; ++n) mma_m16n8k16(sums[n], hidden[k], b[2 * n], b[2 * n + 1]);
  }
  activate_sums(sums, tower.activation, output);
  store_fragment(output, rows, Shape::kPitch, memory.h2 + 8 * tile);
}

// Outputs y of inputs x; a warp works on its rows alone. The caller's barrier stands before it; one stands behind it.
template <int kHidden>
DEVICE void forward_tower(const FusedTower& tower, const TowerMemory<Bf16TowerShape<kHidden>>& memory) {
  using Shape = Bf16TowerShape<kHidden>;
  Fragment hidden[Shape::kTiles];
  const WarpRows rows;
  forward_inputs<Shape>(tower, memory, rows, hidden);
  float head[4];
  UNROLL
  for (int e = 0; e < 4; ++e) head[e] = memory.b3[2 * rows.quarter + e % 2];
#ifdef __CUDACC__
#pragma unroll 1
#endif
  for (int pair = 0; pair < Shape::kTiles / 2; ++pair) {
    std::uint32_t b[4];  // of the head, for 32 hidden units
    load_transposed(b, memory.w3 + (32 * pair + thread_index() % 32) * memory.kHeadPitch);
    UNROLL
    for (int half = 0; half < 2; ++half) {
      Fragment output;
      forward_hidden<Shape>(tower, memory, rows, 2 * pair + half, hidden, output);
      mma_m16n8k16(head, output, b[2 * half], b[2 * half + 1]);
    }
  }
  UNROLL
  for (int e = 0; e < 4; ++e) memory.y[rows.sum(e, Shape::kNarrowPitch)] = head[e];
  __syncthreads();
}
#endif

}  // namespace stampede
