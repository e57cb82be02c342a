// SPDX-License-Identifier: Apache-2.0
// The updates of optimizer.h on a CUDA stream, with no read by the host. Only builds with CUDA have them.
#pragma once

#include <cstddef>

#include "kernels/optimizer.h"

namespace stampede {

// All blocks and the state lie in device memory.
void cuda_optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                         float learning_rate, float scale, LearnerState* state);
void cuda_polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau);

}  // namespace stampede
