// SPDX-License-Identifier: Apache-2.0
#include "agents/policy_gradient.h"

namespace stampede {

PolicyGradient::PolicyGradient(const RingShape& shape, const Space& action, Arena& arena)
    : rows_(shape.rows * shape.environments),
      action_(action),
      batch_(RolloutBatch::take_fields(action, rows_, arena)),
      moment_parts_(arena.take<MomentPart>(kMomentParts)),
      moments_(arena.take<MinibatchMoments>(1)) {}

int PolicyGradient::accumulate(const Stream& stream, const RingView& ring, const PolicyGradientLoss& loss,
                               AdvantageScaling scaling, ActorCritic& agent) const {
  measure_minibatch(stream, batch_, rows_, scaling, moment_parts_.data, moments_.data);
  return agent.accumulate(stream, ring.obs, rows_, [&](const Stream& serial, const PolicyTile& tile) {
    policy_gradient_tile_loss(serial, loss, agent.layout(), batch_, moments_.data, tile);
  });
}

void PolicyGradient::step(const Stream& stream, const RingView& ring, const PolicyGradientLoss& loss,
                          AdvantageScaling scaling, float learning_rate, ActorCritic& agent) const {
  agent.update(stream, accumulate(stream, ring, loss, scaling, agent), 0.0f, learning_rate);
}

}  // namespace stampede
