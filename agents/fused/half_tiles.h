// SPDX-License-Identifier: Apache-2.0
// Tiles with half the rows, for batches whose whole tiles would leave multiprocessors without work.
#pragma once

#include "agents/fused/tower.h"

namespace stampede {

template <int kHidden>
struct HalfTowerShape : TowerShape<kHidden> {
  static constexpr int kRows = TowerShape<kHidden>::kRows / 2;
  static constexpr int kThreadRows = kRows / TowerShape<kHidden>::kRowGroups;
};

// blocks: most that share a batch, or a tower's part of them; kBlocksPerProcessor for each multiprocessor.
template <int kHidden>
bool wants_half_tiles(int rows, int blocks) {
  using Shape = TowerShape<kHidden>;
  const int tiles = (rows + Shape::kRows - 1) / Shape::kRows;
  return 2 * tiles * Shape::kBlocksPerProcessor <= blocks;
}

}  // namespace stampede
