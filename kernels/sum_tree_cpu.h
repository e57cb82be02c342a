// SPDX-License-Identifier: Apache-2.0
// The sum tree on a CPU.
#pragma once

#include "kernels/sum_tree.h"

namespace stampede {

// Room to list the nodes that a batch of leaves makes stale.
struct DirtyNodes {
  std::int32_t* lists;  // [2, list_size]
  std::size_t list_size;
  std::uint8_t* flags;  // [nodes of level 1], all 0 before and after
};

void cpu_refresh(const Stream& stream, const SumTreeView& tree, const DirtyNodes& dirty, const std::int32_t* indices,
                 int count);
void cpu_refresh_range(const Stream& stream, const SumTreeView& tree, int begin, int end);
void cpu_draw(const Stream& stream, const SumTreeView& tree, const RandomKey& key, DrawKind kind, int count,
              std::int32_t* indices, float* priorities);

}  // namespace stampede
