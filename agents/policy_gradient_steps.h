// SPDX-License-Identifier: Apache-2.0
// The device steps of the plain policy gradient: the loss of a tile, and Monte Carlo returns for REINFORCE.
#pragma once

#include "agents/losses/policy_gradient_loss.h"
#include "agents/policy_tile.h"

namespace stampede {

// moments: of the batch the tile belongs to. Stream-ordered.
void policy_gradient_tile_loss(const Stream& stream, const PolicyGradientLoss& loss, const PolicyLayout& layout,
                               const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile);

// Monte Carlo returns of episodes that end in the rollout (Williams 1992, with reward-to-go), into a batch that holds
// the rollout in ring order: target = return, advantage = return - value (the return alone without a learned baseline).
// A truncated episode goes on with the baseline's value of its last observation (slots 1 ... T); without a baseline
// nothing is known of it, and a truncation counts as an end. Rows of episodes that are still open become invalid, for
// part of their return is missing. Rewards are multiplied by *reward_scale (null = 1). Stream-ordered.
void compute_episode_returns(const Stream& stream, const RingView& ring, float gamma, const float* reward_scale,
                             bool learned_baseline, const RolloutBatch& batch);

}  // namespace stampede
