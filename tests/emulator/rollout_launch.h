// SPDX-License-Identifier: Apache-2.0
// A fused rollout under the emulator.
#pragma once

#include "tests/emulator/simt.h"

#include "train/fused/rollout_blocks.h"

namespace stampede {

// pairs: of warps per block. A device of this shared memory and one multiprocessor holds as many as asked for.
template <class Kernel>
void launch_rollout(const Kernel& kernel, int environments, std::size_t pairs, const simt::Schedule& schedule) {
  const auto weights = static_cast<std::size_t>(kernel.policy.weight_size()) * sizeof(float);
  const auto warp = static_cast<std::size_t>(kernel.policy.warp_size()) * sizeof(float);
  const FusedLaunch shape = fused_launch(weights, warp, environments, {weights + pairs * 2 * warp, 1});
  Kernel own = kernel;
  own.block_environments = shape.environments;
  simt::run(shape.grid, shape.block, shape.shared, schedule, [&] { own(); });
}

}  // namespace stampede
