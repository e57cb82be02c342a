// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer.h"

#include <string>

#include "kernels/error.h"
#include "kernels/optimizer_cpu.h"
#ifdef STAMPEDE_WITH_CUDA
#include "kernels/optimizer_cuda.h"
#endif

namespace stampede {

// One partial sum per chunk of 256 elements and a few more: enough for either device's reduction.
std::size_t optimizer_scratch_size(std::size_t count) { return (count / 256 + 64 + 15) / 16 * 16; }

void optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                    float learning_rate, float scale, LearnerState* state) {
  if (groups < 1 || groups > kMaxGradientGroups) {
    throw RuntimeError("optimizer_step: " + std::to_string(groups) + " gradient groups, but at most " +
                       std::to_string(kMaxGradientGroups) + " are supported");
  }
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_optimizer_step(stream, config, blocks, groups, learning_rate, scale, state);
#endif
  cpu_optimizer_step(stream, config, blocks, groups, learning_rate, scale, state);
}

void polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau) {
#ifdef STAMPEDE_WITH_CUDA
  if (stream.is_cuda()) return cuda_polyak_update(stream, online, target, count, tau);
#endif
  cpu_polyak_update(stream, online, target, count, tau);
}

}  // namespace stampede
