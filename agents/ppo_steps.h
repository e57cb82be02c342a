// SPDX-License-Identifier: Apache-2.0
// The device step of PPO's own: the loss of a tile.
#pragma once

#include "agents/losses/ppo_loss.h"
#include "agents/policy_tile.h"

namespace stampede {

// moments: of the minibatch the tile belongs to. Stream-ordered.
void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout,
                   const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile);

}  // namespace stampede
