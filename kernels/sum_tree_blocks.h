// SPDX-License-Identifier: Apache-2.0
// The sum tree's CUDA kernels, one warp per node: each lane holds one child. Their bits are those of sum_tree_cpu.cpp.
#pragma once

#include <cmath>

#include "kernels/block.h"
#include "kernels/last_block.h"
#include "kernels/sum_tree.h"

namespace stampede {

// 53 random bits place draw k within the total, or within its own share of it. A pair of draws shares a Philox block.
HD double draw_position(const std::uint32_t* words, int k, DrawKind kind, double total, double share) {
  const std::uint64_t bits = (static_cast<std::uint64_t>(words[0]) << 32 | words[1]) >> 11;
  const double uniform = static_cast<double>(static_cast<std::int64_t>(bits)) * 0x1p-53;
  return kind == DrawKind::kStratified ? (static_cast<double>(k) + uniform) * share : uniform * total;
}

// Nodes of a level, leaves being level 0.
HD int node_count(const SumTreeView& tree, int level) {
  return static_cast<int>(((static_cast<std::int64_t>(tree.leaf_count) - 1) >> (5 * level)) + 1);
}
// So many nodes one block recomputes faster than another launch would.
inline constexpr int kClimbNodes = 64;

#ifdef STAMPEDE_BLOCK_KERNELS
inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kSumTreeThreads = 128;

// Blocks of kSumTreeThreads with that many warps.
inline unsigned sum_tree_grid(int warps) {
  constexpr int kWarpsPerBlock = static_cast<int>(kSumTreeThreads / kWarp);
  return static_cast<unsigned>((warps + kWarpsPerBlock - 1) / kWarpsPerBlock);
}

DEVICE unsigned warp_index() { return (blockIdx.x * kSumTreeThreads + threadIdx.x) / kWarp; }
DEVICE unsigned lane_index() { return threadIdx.x % kWarp; }

// Sum of the values of lanes 0 ... lane.
template <class T>
DEVICE T warp_prefix_sum(T value, unsigned lane) {
  for (unsigned reach = 1; reach < kWarp; reach *= 2) {
    const T before = __shfl_up_sync(0xffffffffu, value, reach);
    if (lane >= reach) value += before;
  }
  return value;
}

template <class T>
DEVICE T value_of_lane_before(T value, unsigned lane) {
  const T before = __shfl_up_sync(0xffffffffu, value, 1u);
  return lane == 0 ? T{0} : before;
}

DEVICE int highest_lane(std::uint32_t mask) { return mask == 0 ? 0 : 31 - __clz(static_cast<int>(mask)); }

// Recomputes one node of `level` from its children.
DEVICE void recompute_node(const SumTreeView& tree, int level, int node) {
  const unsigned lane = lane_index();
  const std::size_t child = static_cast<std::size_t>(node) * kWarp + lane;
  if (level == 1) {
    double sum = static_cast<double>(tree.leaves[child]);
    for (int width = 16; width > 0; width /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, width);
    if (lane == 0) tree.sums[1][node] = sum;
    return;
  }
  const double sum = tree.sums[level - 1][child];
  const double prefix = warp_prefix_sum(sum, lane);
  const double start = value_of_lane_before(prefix, lane);
  tree.starts[level - 1][child] = sum > 0.0 ? start : static_cast<double>(INFINITY);
  if (lane == kWarp - 1) tree.sums[level][node] = prefix;
}

// Recomputes nodes [begin, end) of `level` and all their ancestors, by one block.
DEVICE void climb(const SumTreeView& tree, int level, int begin, int end) {
  const int warp = static_cast<int>(threadIdx.x / kWarp), warps = static_cast<int>(kSumTreeThreads / kWarp);
  for (; level <= tree.levels; ++level) {
    for (int node = begin + warp; node < end; node += warps) recompute_node(tree, level, node);
    begin /= SumTreeView::kFan;
    end = (end - 1) / SumTreeView::kFan + 1;
    __threadfence();
    __syncthreads();
  }
}

// One warp per index: the ancestor on `level`. Warps with the same ancestor write the same values. With `arrived` the
// last block goes on with all nodes of the levels above.
struct RefreshIndices {
  SumTreeView tree;
  int level;
  const std::int32_t* indices;  // [count]
  int count;
  unsigned* arrived = nullptr;

  DEVICE void operator()() const {
    const int i = static_cast<int>(warp_index());
    if (i < count) recompute_node(tree, level, static_cast<int>(std::int64_t{indices[i]} >> (5 * level)));
    if (arrived == nullptr || !is_last_block(arrived)) return;
    climb(tree, level + 1, 0, node_count(tree, level + 1));
  }
};

// Nodes [begin, end) of `level`; with `arrived` the last block goes on with their ancestors.
struct RefreshNodes {
  SumTreeView tree;
  int level, begin, end;
  unsigned* arrived = nullptr;

  DEVICE void operator()() const {
    const int node = begin + static_cast<int>(warp_index());
    if (node < end) recompute_node(tree, level, node);
    if (arrived == nullptr || !is_last_block(arrived)) return;
    climb(tree, level + 1, begin / SumTreeView::kFan, (end - 1) / SumTreeView::kFan + 1);
  }
};

// After draws, nothing.
struct NoTail {
  DEVICE void operator()() const {}
};

// One warp per draw; tail() follows.
template <class Tail = NoTail>
struct DrawKernel {
  SumTreeView tree;
  RandomKey key;
  DrawKind kind;
  int count;
  std::int32_t* indices;  // [count]
  float* priorities;      // [count]

  Tail tail = {};

  DEVICE void operator()() const {
    const int k = static_cast<int>(warp_index());
    if (k < count) draw(k);
    tail();
  }

  DEVICE void draw(int k) const {
    const unsigned lane = lane_index();
    const PhiloxBlock words = key.block(static_cast<std::uint32_t>(k) >> 1, 0);
    const double total = *tree.total();
    double position = draw_position(words.word + 2 * (k & 1), k, kind, total, total / static_cast<double>(count));
    int node = 0;
    for (int level = tree.levels - 1; level > 0; --level) {
      const double start = tree.starts[level][static_cast<std::size_t>(node) * kWarp + lane];
      const int child = highest_lane(__ballot_sync(0xffffffffu, start <= position));
      position -= __shfl_sync(0xffffffffu, start, child);
      node = node * static_cast<int>(kWarp) + child;
    }
    const float leaf = tree.leaves[static_cast<std::size_t>(node) * kWarp + lane];
    const float start = value_of_lane_before(warp_prefix_sum(leaf, lane), lane);
    const bool candidate = (leaf > 0.0f) & (start <= static_cast<float>(position));
    const int child = highest_lane(__ballot_sync(0xffffffffu, candidate));
    const float priority = __shfl_sync(0xffffffffu, leaf, child);
    if (lane != 0) return;
    indices[k] = node * static_cast<int>(kWarp) + child;
    priorities[k] = priority;
  }
};
#endif

}  // namespace stampede
