// SPDX-License-Identifier: Apache-2.0
#include "agents/ppo_steps.h"

namespace stampede {

void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout,
                   const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile) {
  run_policy_loss(stream, PolicyLossRows<PpoLossConfig>{config, layout, batch, moments, tile});
}

}  // namespace stampede
