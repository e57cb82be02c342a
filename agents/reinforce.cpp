// SPDX-License-Identifier: Apache-2.0
#include "agents/reinforce.h"

#include <utility>

namespace stampede {
namespace {

AdvantageScaling scaling(const ReinforceConfig& config) {
  if (config.normalize_returns) return AdvantageScaling::kNormalize;
  return config.baseline == Baseline::kMean ? AdvantageScaling::kCenter : AdvantageScaling::kNone;
}

}  // namespace

Reinforce::Reinforce(const ReinforceConfig& config, const Space& action, std::shared_ptr<const Network> network,
                     const RingShape& shape, int workers, int act_rows, std::uint64_t seed, const Stream& stream,
                     Arena& arena)
    : config_(config),
      gradient_(shape, action, arena),
      agent_(config.actor_critic, action, std::move(network), {shape, workers, act_rows, gradient_.rows()}, seed,
             stream, arena) {}

void Reinforce::learn(const Stream& stream, const TrajectoryRing& ring, const ReinforceSchedule& schedule) {
  const RingView& view = ring.view();
  const bool learned = config_.baseline == Baseline::kLearned;
  agent_.begin_update(stream, view, config_.gamma);
  gradient_.load(stream, view);
  compute_episode_returns(stream, view, config_.gamma, agent_.reward_scaler().scale(), learned, gradient_.batch());
  const PolicyGradientLoss loss{schedule.entropy_weight, learned ? config_.value_weight : 0.0f};
  gradient_.step(stream, view, loss, scaling(config_), schedule.learning_rate, agent_);
  agent_.end_update(stream, view);
}

}  // namespace stampede
