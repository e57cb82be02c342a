// SPDX-License-Identifier: Apache-2.0
// The CPU side of optimizer.h: two passes over the parameters, in vectors, with sums of a shape that threads do not
// change.
#pragma once

#include "kernels/optimizer.h"

namespace stampede {

// The first half of a step: sums the groups into group 0, times scale, and returns the sum's norm. Of the blocks it
// uses gradients, scratch and count.
float cpu_combine_gradients(const Stream& stream, const OptimizerBlocks& blocks, int groups, float scale);

void cpu_optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                        float learning_rate, float scale, LearnerState* state);
void cpu_polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau);

}  // namespace stampede
