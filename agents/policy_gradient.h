// SPDX-License-Identifier: Apache-2.0
// One gradient step of the plain policy gradient on a whole rollout, read in ring order: no permutation, no gather.
#pragma once

#include "agents/actor_critic.h"
#include "agents/policy_gradient_steps.h"

namespace stampede {

class PolicyGradient {
 public:
  PolicyGradient(const RingShape& shape, const Space& action, Arena& arena);

  // Rows of a rollout.
  int rows() const { return rows_; }
  // Actions, advantages and returns of the rollout, row by row as in the ring.
  const RolloutBatch& batch() const { return batch_; }
  // Copies them from the ring. Stream-ordered.
  void load(const Stream& stream, const RingView& ring) const { copy_rollout(stream, ring, action_, batch_); }
  // The mean gradient of the batch's valid rows, in the agent's gradient groups; returns their number. Stream-ordered.
  int accumulate(const Stream& stream, const RingView& ring, const PolicyGradientLoss& loss, AdvantageScaling scaling,
                 ActorCritic& agent) const;
  // One optimiser step along the mean gradient of the batch's valid rows. Stream-ordered.
  void step(const Stream& stream, const RingView& ring, const PolicyGradientLoss& loss, AdvantageScaling scaling,
            float learning_rate, ActorCritic& agent) const;

 private:
  int rows_;
  Space action_;
  RolloutBatch batch_;
  View<MomentPart> moment_parts_;
  View<MinibatchMoments> moments_;
};

}  // namespace stampede
