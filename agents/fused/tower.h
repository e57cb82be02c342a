// SPDX-License-Identifier: Apache-2.0
// The towers of a network that a fused update can hold on chip: two hidden layers of 64 or 128 units between few inputs
// and few outputs.
#pragma once

#include <cstddef>
#include <vector>

#include "agents/networks/network_spec.h"
#include "kernels/gemm.h"

namespace stampede {

// Most inputs, and most outputs (together with the log sigmas that are trained beside them), of a fused tower.
inline constexpr int kNarrowColumns = 8;

// Where a tower of inputs -> width -> width -> outputs lies in the parameter block; offsets in floats.
struct FusedTower {
  std::size_t weight[3] = {};
  std::size_t bias[3] = {};
  int inputs = 0, outputs = 0, width = 0;
  int first_column = 0;  // of its outputs in an output row
  GemmActivation activation = GemmActivation::kTanh;
};

// The towers of a network in the order of its outputs; empty where one does not fit.
std::vector<FusedTower> fused_towers(const NetworkSpec& spec);

// How a block of threads shares out a tile of rows. A thread owns kThreadRows x 4 elements of a layer's outputs and
// kGradientRows x kGradientColumns of the hidden weight gradient, of which kSplits threads share the rows.
template <int kHidden>
struct TowerShape {
  static_assert(kHidden == 64 || kHidden == 128);
  static constexpr int kWidth = kHidden;
  static constexpr int kRows = kHidden == 64 ? 128 : 64;  // of a tile
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerProcessor = kHidden == 64 ? 2 : 1;
  // Blocks that share a batch, whatever the device: two or one for each of an H200's 132 multiprocessors.
  static constexpr int kBlocks = 132 * kBlocksPerProcessor;

  static constexpr int kColumnGroups = kWidth / 4;
  static constexpr int kRowGroups = kThreads / kColumnGroups;
  static constexpr int kThreadRows = kRows / kRowGroups;
  static constexpr int kGradientRows = 8;
  static constexpr int kGradientColumns = kHidden == 64 ? 4 : 8;
  static constexpr int kGradientThreads = kWidth / kGradientRows * (kWidth / kGradientColumns);
  static constexpr int kSplits = kThreads / kGradientThreads;

  // Rows in shared memory are padded by four floats, so that neighbouring rows lie in different banks; in narrow rows
  // the padding carries what the loss needs.
  static constexpr int kPitch = kWidth + 4;
  static constexpr int kNarrowPitch = kNarrowColumns + 4;
};

// The same on tensor cores: a warp takes sixteen rows through the layers, and of the hidden weight gradient it owns
// half the rows and a quarter of the columns.
template <int kHidden>
struct Bf16TowerShape {
  static_assert(kHidden == 64 || kHidden == 128);
  static constexpr int kWidth = kHidden;
  static constexpr int kRows = 128;  // of a tile
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerProcessor = kHidden == 64 ? 2 : 1;

  static constexpr int kTiles = kWidth / 16;         // of hidden units
  static constexpr int kGradientTiles = kTiles / 2;  // 16 rows, or 8 columns, of a warp's share

  // Padding, so that eight neighbouring rows of 16 bytes lie in different banks.
  static constexpr int kPitch = kWidth / 2 + 4;            // words of a row of hidden units
  static constexpr int kInputPitch = kNarrowColumns + 4;   // words of a row of inputs, or of outputs' derivatives
  static constexpr int kNarrowPitch = kNarrowColumns + 4;  // floats of a row of outputs
};

inline constexpr int kMostBlocks = TowerShape<64>::kBlocks;
inline int fused_blocks(int width) { return width == 64 ? TowerShape<64>::kBlocks : TowerShape<128>::kBlocks; }

// Slots of partial gradients that a batch fills: the blocks that work on one tower.
template <class Shape>
int fused_slots(int rows, int most) {
  const int tiles = (rows + Shape::kRows - 1) / Shape::kRows;
  return tiles < most ? tiles : most;
}

}  // namespace stampede
