// SPDX-License-Identifier: Apache-2.0
// The device steps of soft actor-critic with discrete actions.
#pragma once

#include "agents/losses/sac_discrete_loss.h"
#include "agents/off_policy_act.h"
#include "agents/twin_critic.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// Output rows of a policy over `actions` actions.
struct PolicyLogits {
  const float* values;  // [rows, stride]
  int stride, actions;

  HD const float* row(int r) const { return values + static_cast<std::size_t>(r) * static_cast<std::size_t>(stride); }
};

// Writes the requested actions into records. Stream-ordered.
void act_categorical(const Stream& stream, const ActRows& rows, const PolicyLogits& policy);

// bootstrap[r] = the expected soft value of the critics' smaller values. Stream-ordered.
void expected_bootstrap(const Stream& stream, int rows, const PolicyLogits& policy, const CriticOutputs& q,
                        const float* alpha, float* bootstrap);

// The squared errors of the values of the actions that were taken. Stream-ordered.
struct TakenActionTile {
  RingView ring;
  const std::int32_t* indices;  // [rows], where the actions lie
  CriticTile critic;
};
void taken_action_loss(const Stream& stream, const TakenActionTile& tile);

// The policy's exact gradient: d_logits [rows, stride] and metrics [SacRowMetrics::kSize, rows]. Stream-ordered.
struct DiscretePolicyTile {
  PolicyLogits policy;
  CriticOutputs q;
  const float* alpha;  // [1]
  int rows;
  float weight;
  float* d_logits;
  float* metrics;
};
void discrete_policy_tile_loss(const Stream& stream, const DiscretePolicyTile& tile);

}  // namespace stampede
