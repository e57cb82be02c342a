// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer_cuda.h"

#include "kernels/launch.h"
#include "kernels/optimizer_step_blocks.h"

#ifdef __CUDACC__
namespace stampede {
namespace {

struct UpdateLaunch {
  const Stream& stream;

  template <class Kernel>
  void blocks(unsigned grid, const Kernel& kernel) const {
    launch_blocks(stream, grid, kOptimizerThreads, 0, kernel);
  }
  template <class Functor>
  void each(int count, const Functor& functor) const {
    for_each_index(stream, count, functor);
  }
};

}  // namespace

void cuda_optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                         float learning_rate, float scale, LearnerState* state) {
  launch_optimizer_step(UpdateLaunch{stream}, config, blocks, groups, learning_rate, scale, state);
}

void cuda_polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau) {
  for_each_index(stream, static_cast<int>(count), PolyakElement{online, target, tau});
}

}  // namespace stampede
#endif
