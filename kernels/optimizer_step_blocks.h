// SPDX-License-Identifier: Apache-2.0
// An optimiser update in two CUDA launches, or in one where it is small: its parts are those of optimizer_blocks.h.
#pragma once

#include "kernels/last_block.h"
#include "kernels/optimizer_blocks.h"

namespace stampede {

// Counts the blocks that have arrived; in the scratch block behind the scalars. 0 between launches.
inline unsigned* update_arrivals(const OptimizerBlocks& blocks) {
  constexpr std::size_t kScalars = 16;
  static_assert(sizeof(UpdateScalars) <= kScalars * sizeof(float));
  return reinterpret_cast<unsigned*>(blocks.scratch + (optimizer_chunks(blocks.count) + 15) / 16 * 16 + kScalars);
}

#ifdef STAMPEDE_BLOCK_KERNELS
// A block per chunk; the one that arrives last knows every sum of squares and decides.
struct CombineAndDecide {
  CombineGradients combine;
  DecideUpdate decide;
  unsigned* arrived;  // [1]

  DEVICE void operator()() const {
    combine();
    if (is_last_block(arrived)) decide();
  }
};

// The whole update of a single chunk, by its block. What a thread has combined it applies; the sum of squares passes
// from the first thread to itself.
struct UpdateChunk {
  CombineGradients combine;
  DecideUpdate decide;
  ApplyUpdate apply;

  DEVICE void operator()() const {
    combine();
    decide();
    __syncthreads();
    for (unsigned i = threadIdx.x; i < apply.blocks.count; i += kOptimizerThreads) apply(static_cast<int>(i));
  }
};

// launch(grid, kernel) runs blocks of kOptimizerThreads; each(count, functor) runs functor(i).
template <class Launch>
void launch_optimizer_step(const Launch& launch, const OptimizerConfig& config, const OptimizerBlocks& blocks,
                           int groups, float learning_rate, float scale, LearnerState* state) {
  const auto chunks = static_cast<unsigned>(optimizer_chunks(blocks.count));
  if (chunks == 0) return;
  UpdateScalars* const scalars = update_scalars(blocks);
  const CombineGradients combine{blocks, groups, scale, state};
  const DecideUpdate decide{config, blocks.scratch, chunks, learning_rate, state, scalars};
  const ApplyUpdate apply{config.kind, config.epsilon_inside_root, blocks, scalars};
  if (chunks == 1) return launch.blocks(1, UpdateChunk{combine, decide, apply});
  launch.blocks(chunks, CombineAndDecide{combine, decide, update_arrivals(blocks)});
  launch.each(static_cast<int>(blocks.count), apply);
}
#endif

}  // namespace stampede
