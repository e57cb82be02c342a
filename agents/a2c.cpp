// SPDX-License-Identifier: Apache-2.0
#include "agents/a2c.h"

#include <utility>

namespace stampede {

A2c::A2c(const A2cConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
         int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      gradient_(shape, action, arena),
      agent_(config.actor_critic, action, std::move(network), {shape, workers, act_rows, gradient_.rows()}, seed,
             stream, arena) {}

void A2c::learn(const Stream& stream, const TrajectoryRing& ring, const A2cSchedule& schedule) {
  const RingView& view = ring.view();
  agent_.begin_update(stream, view, config_.gamma);
  compute_gae(stream, view, config_.gamma, config_.lambda, agent_.reward_scaler().scale(), config_.temperature);
  gradient_.load(stream, view);
  const PolicyGradientLoss loss{schedule.entropy_weight, config_.value_weight};
  gradient_.step(stream, view, loss, config_.scaling, schedule.learning_rate, agent_);
  agent_.end_update(stream, view);
}

}  // namespace stampede
