// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer_cuda.h"

#include "kernels/launch.h"
#include "kernels/optimizer_blocks.h"

#ifdef __CUDACC__
namespace stampede {

void cuda_optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                         float learning_rate, float scale, LearnerState* state) {
  const auto chunks = static_cast<unsigned>(optimizer_chunks(blocks.count));
  if (chunks == 0) return;
  UpdateScalars* const scalars = update_scalars(blocks);
  launch_blocks(stream, chunks, kOptimizerThreads, 0, CombineGradients{blocks, groups, scale, state});
  launch_blocks(stream, 1, DecideUpdate::kThreads, 0,
                DecideUpdate{config, blocks.scratch, chunks, learning_rate, state, scalars});
  for_each_index(stream, static_cast<int>(blocks.count),
                 ApplyUpdate{config.kind, config.epsilon_inside_root, blocks, scalars});
}

void cuda_polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau) {
  for_each_index(stream, static_cast<int>(count), PolyakElement{online, target, tau});
}

}  // namespace stampede
#endif
