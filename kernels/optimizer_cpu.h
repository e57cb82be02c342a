// SPDX-License-Identifier: Apache-2.0
// The CPU side of optimizer.h: two passes over the parameters, in vectors, with sums of a shape that threads do not
// change.
#pragma once

#include "kernels/optimizer.h"

namespace stampede {

void cpu_optimizer_step(const Stream& stream, const OptimizerConfig& config, const OptimizerBlocks& blocks, int groups,
                        float learning_rate, float scale, LearnerState* state);
void cpu_polyak_update(const Stream& stream, const float* online, float* target, std::size_t count, float tau);

}  // namespace stampede
