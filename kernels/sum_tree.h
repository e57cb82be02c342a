// SPDX-License-Identifier: Apache-2.0
// A 32-ary tree of sums that draws indices in proportion to their priority: Schaul et al. 2016 (arXiv:1511.05952),
// appendix B.2.1.
#pragma once

#include <cstdint>

#include "kernels/arena.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace stampede {

// Level 0 are the leaves; a node of level l > 0 has 32 children on level l - 1; level `levels` is the root alone.
// Parents are recomputed from their children, never adjusted: no drift, and the same bits in any order of updates.
struct SumTreeView {
  static constexpr int kFan = 32;
  static constexpr int kMaxLevels = 7;  // enough for 2^31 leaves

  float* leaves = nullptr;           // [leaf_count], padded to whole nodes by zeros
  double* sums[kMaxLevels + 1]{};    // [l][nodes of level l], l in [1, levels]
  double* starts[kMaxLevels + 1]{};  // [l][nodes], l in [1, levels): where a node's share of its parent begins;
                                     // +infinity for a sum of 0, so that an empty node is never entered
  int leaf_count = 0;
  int levels = 0;

  HD const double* total() const { return sums[levels]; }
};

enum class DrawKind : std::uint8_t {
  kIndependent,
  kStratified,  // draw k falls into the k-th of `count` equal shares of the total; indices come out ascending
};

class SumTree {
 public:
  // All leaves are 0. max_batch bounds the number of indices of one refresh. Throws UsageError unless leaf_count is in
  // [1, 2^31 - 32].
  SumTree(std::int64_t leaf_count, int max_batch, Arena& arena);

  const SumTreeView& view() const { return view_; }
  // Leaves are written by the caller and must be finite and >= 0; then refresh() brings the sums up to date.
  View<float> leaves() const { return {view_.leaves, {static_cast<std::size_t>(view_.leaf_count)}}; }
  const double* total() const { return view_.total(); }  // [1], on the device

  // Recomputes what lies above leaves indices[0 ... count - 1] (any order, duplicates allowed), or above the leaves in
  // [begin, end). Stream-ordered; the bits do not depend on threads. Throws RuntimeError when count > max_batch.
  void refresh(const Stream& stream, const std::int32_t* indices, int count) const;
  void refresh_range(const Stream& stream, int begin, int end) const;

  // Draws `count` leaves with probability leaf / total: indices [count] and their leaves [count]. Never returns a leaf
  // of 0 unless all are. Draw k uses index k of the key. Stream-ordered.
  void draw(const Stream& stream, const RandomKey& key, DrawKind kind, int count, std::int32_t* indices,
            float* priorities) const;

 private:
  SumTreeView view_;
  int max_batch_;
  View<std::int32_t> dirty_nodes_;  // [2, min(max_batch, nodes of level 1) + 1]: nodes to recompute on two levels
  View<unsigned> arrived_;          // [1], of the blocks that share a refresh
  View<std::uint8_t> dirty_;        // [nodes of level 1], all 0 between calls
};

}  // namespace stampede
