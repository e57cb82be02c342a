// SPDX-License-Identifier: Apache-2.0
#include "agents/a2c.h"

#include <utility>

namespace stampede {

A2c::A2c(const A2cConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
         int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      gradient_(shape, action, arena),
      agent_(config.actor_critic, action, std::move(network), {shape, workers, act_rows, gradient_.rows(), 1}, seed,
             stream, arena),
      ratios_(arena.take<float>(config.vtrace ? static_cast<std::size_t>(gradient_.rows()) : 0)) {}

void A2c::learn(const Stream& stream, const TrajectoryRing& ring, const A2cSchedule& schedule) {
  const RingView& view = ring.view();
  const PolicyGradientLoss loss{schedule.entropy_weight, config_.value_weight};
  agent_.begin_update(stream, view, config_.gamma);
  for (int epoch = 0; epoch < config_.epochs; ++epoch) {
    estimate_advantages(stream, view, epoch);
    if (FusedPolicyUpdate* const fused = agent_.fused()) {
      fused->measure(stream, view, {.rows = gradient_.rows()}, 1, 1);
      fused->update(stream, view, {0, 0, config_.scaling, AnyPolicyLoss(loss), 0.0f, schedule.learning_rate});
      continue;
    }
    gradient_.load(stream, view);
    gradient_.step(stream, view, loss, config_.scaling, schedule.learning_rate, agent_);
  }
  agent_.end_update(stream, view);
}

void A2c::estimate_advantages(const Stream& stream, const RingView& ring, int epoch) {
  const float* const scale = agent_.reward_scaler().scale();
  if (epoch == 0) return compute_gae(stream, ring, config_.gamma, config_.lambda, scale, config_.temperature);
  if (!config_.vtrace) return;
  agent_.reevaluate(stream, ring, ratios_.data);
  compute_vtrace(
      stream, ring,
      {.gamma = config_.gamma, .lambda = config_.lambda, .weighted = true, .temperature = config_.temperature},
      ratios_.data, scale);
}

}  // namespace stampede
