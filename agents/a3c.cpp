// SPDX-License-Identifier: Apache-2.0
#include "agents/a3c.h"

#include <algorithm>
#include <utility>

namespace stampede {

A3c::A3c(const A2cConfig& config, const RmsPropConfig& optimizer, const Space& action,
         std::shared_ptr<const Network> network, const RingShape& shape, int evaluation_workers, int evaluation_rows,
         std::uint64_t seed, const Stream& stream, Arena& arena, std::span<Arena> worker_arenas)
    : config_(config), shape_(shape), seed_(seed), shared_(network->spec(), optimizer, arena) {
  for (std::size_t w = 0; w < worker_arenas.size(); ++w) {
    ActorCriticShape of_worker{shape, 1, shape.environments, shape.rows * shape.environments};
    if (w == 0) of_worker.workers = evaluation_workers;
    if (w == 0) of_worker.act_rows = std::max(of_worker.act_rows, evaluation_rows);
    PolicyGradient gradient(shape, action, worker_arenas[w]);
    ActorCritic agent(config.actor_critic, action, network, of_worker, worker_seed(seed, static_cast<int>(w)), stream,
                      worker_arenas[w]);
    workers_.push_back(std::make_unique<Worker>(Worker{std::move(gradient), std::move(agent)}));
  }
}

void A3c::initialize(const Stream& stream) {
  shared_.initialize(seed_);
  for (const auto& worker : workers_) {
    worker->agent.initialize(stream);
    shared_.snapshot(stream, worker->agent.network());
  }
}

void A3c::restored(const Stream& stream) {
  for (const auto& worker : workers_) {
    worker->agent.refresh(stream);
    shared_.snapshot(stream, worker->agent.network());
  }
}

void A3c::act(const Stream& stream, int worker, const TrajectoryRing& ring) const {
  const int slot = ring.slot(ring.head());
  agent(worker).act(stream, {ring.obs(slot), ring.records(slot), ring.extra(slot), 0, shape_.environments,
                             static_cast<std::uint64_t>(ring.head()), 0, ActionMode::kSample});
}

int A3c::accumulate(const Stream& stream, int index, const TrajectoryRing& ring, float entropy_weight) {
  Worker& worker = *workers_[static_cast<std::size_t>(index)];
  const RingView& view = ring.view();
  worker.agent.evaluate_head(
      stream, {ring.obs(shape_.rows), ring.records(shape_.rows), ring.extra(shape_.rows), 0, shape_.environments,
               static_cast<std::uint64_t>(ring.head()), 0, ActionMode::kSample});
  worker.agent.begin_update(stream, view, config_.gamma);
  compute_gae(stream, view, config_.gamma, config_.lambda, worker.agent.reward_scaler().scale(), config_.temperature);
  worker.gradient.load(stream, view);
  return worker.gradient.accumulate(stream, view, {entropy_weight, config_.value_weight}, config_.scaling,
                                    worker.agent);
}

void A3c::learn(const Stream& stream, int index, const TrajectoryRing& ring, const A2cSchedule& schedule) {
  Worker& worker = *workers_[static_cast<std::size_t>(index)];
  const int groups = accumulate(stream, index, ring, schedule.entropy_weight);
  worker.agent.collect_metrics(stream, groups, 0.0f);
  shared_.add(stream, worker.agent.network(), groups, 1.0f, schedule.learning_rate);
  worker.agent.end_update(stream, ring.view());
}

PolicyDrift A3c::read_drift(const Stream& stream, int worker, const TrajectoryRing& ring) {
  agent(worker).request_drift(stream, ring.view());
  return agent(worker).take_drift(stream);
}

PolicyMetrics A3c::read_metrics(const Stream& stream) {
  PolicyMetrics mean{};
  double weight = 0.0;
  for (const auto& worker : workers_) {
    const PolicyMetrics m = worker->agent.read_metrics(stream);
    const auto steps = static_cast<double>(m.optimizer_steps - std::exchange(worker->steps_read, m.optimizer_steps));
    weight += steps;
    for (double PolicyMetrics::*const value :
         {&PolicyMetrics::policy_loss, &PolicyMetrics::value_loss, &PolicyMetrics::entropy, &PolicyMetrics::approx_kl,
          &PolicyMetrics::clip_fraction, &PolicyMetrics::explained_variance, &PolicyMetrics::gradient_norm,
          &PolicyMetrics::actor_gradient_norm, &PolicyMetrics::critic_gradient_norm,
          &PolicyMetrics::torso_gradient_norm}) {
      if (steps > 0.0) mean.*value += (m.*value - mean.*value) * steps / weight;
    }
  }
  mean.optimizer_steps = shared_.updates();
  mean.failed = shared_.failed();
  return mean;
}

}  // namespace stampede
