// SPDX-License-Identifier: Apache-2.0
#include "kernels/sum_tree.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"
#include "kernels/launch.h"
#include "kernels/sum_tree_blocks.h"
#include "kernels/sum_tree_cpu.h"

namespace stampede {
namespace {

std::size_t parents_of(std::size_t nodes) { return (nodes + SumTreeView::kFan - 1) / SumTreeView::kFan; }

}  // namespace

SumTree::SumTree(std::int64_t leaf_count, int max_batch, Arena& arena) : max_batch_(max_batch) {
  if (leaf_count < 1 || leaf_count > 0x7FFFFFFF - SumTreeView::kFan + 1) {
    throw UsageError("a sum tree of " + std::to_string(leaf_count) + " leaves is not one of 1 to 2^31 - 32");
  }
  view_.leaf_count = static_cast<int>(leaf_count);
  std::size_t nodes = parents_of(static_cast<std::size_t>(leaf_count));
  view_.leaves = arena.take<float>(nodes * SumTreeView::kFan).data;
  arrived_ = arena.take<unsigned>(1);
  const std::size_t list_size = std::min(static_cast<std::size_t>(max_batch), nodes) + 1;
  dirty_nodes_ = arena.take<std::int32_t>(2 * list_size);
  dirty_ = arena.take<std::uint8_t>(nodes);
  for (;;) {
    const std::size_t parents = parents_of(nodes);
    ++view_.levels;
    view_.sums[view_.levels] = arena.take<double>(parents * SumTreeView::kFan).data;
    if (nodes == 1) return;
    view_.starts[view_.levels] = arena.take<double>(parents * SumTreeView::kFan).data;
    nodes = parents;
  }
}

void SumTree::refresh(const Stream& stream, const std::int32_t* indices, int count) const {
  if (count > max_batch_) {
    throw RuntimeError("a sum tree for batches of " + std::to_string(max_batch_) + " was given " +
                       std::to_string(count) + " indices");
  }
  if (count <= 0) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    for (int level = 1; level <= view_.levels; ++level) {
      const bool last = level == view_.levels || node_count(view_, level + 1) <= kClimbNodes;
      launch_blocks(stream, sum_tree_grid(count), kSumTreeThreads, 0,
                    RefreshIndices{view_, level, indices, count, last ? arrived_.data : nullptr});
      if (last) return;
    }
  }
#endif
  cpu_refresh(stream, view_, {dirty_nodes_.data, dirty_nodes_.size() / 2, dirty_.data}, indices, count);
}

void SumTree::refresh_range(const Stream& stream, int begin, int end) const {
  if (begin >= end) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    for (int level = 1; level <= view_.levels; ++level) {
      begin /= SumTreeView::kFan;
      end = (end - 1) / SumTreeView::kFan + 1;
      const bool last = level == view_.levels || (end - begin) / SumTreeView::kFan < kClimbNodes;
      launch_blocks(stream, sum_tree_grid(end - begin), kSumTreeThreads, 0,
                    RefreshNodes{view_, level, begin, end, last ? arrived_.data : nullptr});
      if (last) return;
    }
  }
#endif
  cpu_refresh_range(stream, view_, begin, end);
}

void SumTree::draw(const Stream& stream, const RandomKey& key, DrawKind kind, int count, std::int32_t* indices,
                   float* priorities) const {
  if (count <= 0) return;
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    launch_blocks(stream, sum_tree_grid(count), kSumTreeThreads, 0,
                  DrawKernel<>{view_, key, kind, count, indices, priorities});
    return;
  }
#endif
  cpu_draw(stream, view_, key, kind, count, indices, priorities);
}

}  // namespace stampede
