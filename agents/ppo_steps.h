// SPDX-License-Identifier: Apache-2.0
// The device steps of PPO's own: the loss of a tile with either surrogate, and the adaptive weight of the KL penalty.
#pragma once

#include "agents/losses/ppo_loss.h"
#include "agents/losses/ppo_penalty_loss.h"
#include "agents/policy_tile.h"

namespace stampede {

// moments: of the minibatch the tile belongs to. Stream-ordered.
void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout,
                   const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile);
void ppo_tile_loss(const Stream& stream, const PpoPenaltyLoss& loss, const PolicyLayout& layout,
                   const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile);

// Schulman et al. 2017, section 4: halves the weight when the policy moved less than target / 1.5 from the one that
// collected the rollout, doubles it beyond 1.5 target. ratios [T * N] = pi / pi_old; parts [kMomentParts] is scratch.
// Stream-ordered.
void adapt_kl_weight(const Stream& stream, const RingView& ring, const float* ratios, float target, MomentPart* parts,
                     float* kl_weight);
// *kl_weight = value. Stream-ordered.
void set_kl_weight(const Stream& stream, float value, float* kl_weight);

}  // namespace stampede
