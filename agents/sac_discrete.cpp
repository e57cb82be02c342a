// SPDX-License-Identifier: Apache-2.0
#include "agents/sac_discrete.h"

#include <string>

#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
SacDiscreteNetworks SacDiscrete::networks(const SacDiscreteConfig& config, const Space& observation,
                                          const Space& action, const NetworkFactory& factory) {
  const bool one_hot = observation.is_discrete();
  const int inputs = one_hot ? observation.count : observation.size;
  const NetworkSpec actor(inputs, one_hot, {config.network.tower("actor", {{"logits", action.count, 0.01f}})}, {},
                          config.network.initialization);
  return {factory(actor),
          factory(TwinCritic::network_spec(config.network, inputs, one_hot, action.count, config.critics))};
}

void SacDiscrete::check(const SacDiscreteConfig& config, const Space& action, const RingShape& shape) {
  if (action.count > kMaxActions) {
    throw UsageError("sac_discrete: " + std::to_string(action.count) + " actions are more than " +
                     std::to_string(kMaxActions));
  }
  check_batch(shape, config.batch_size, config.n_step);
}

SacDiscrete::SacDiscrete(const SacDiscreteConfig& config, const Space& action, const SacDiscreteNetworks& networks,
                         const RingShape& shape, int workers, int act_rows, std::uint64_t seed, const Stream& stream,
                         Arena& arena)
    : OffPolicyActorCritic(config, action_code(action), networks.actor, networks.critic, shape, SacRowMetrics::kSize,
                           seed, stream, arena),
      temperature_(config.temperature, config.optimizer, arena),
      act_scratch_(static_cast<std::size_t>(workers)),
      learn_scratch_(static_cast<std::size_t>(workers)) {
  for (Scratch& scratch : act_scratch_) take_scratch(act_rows, arena, scratch);
  for (Scratch& scratch : learn_scratch_) take_scratch(tile_rows_, arena, scratch);
}

void SacDiscrete::initialize(const Stream& stream) {
  OffPolicyActorCritic::initialize(stream);
  temperature_.initialize(stream);
}

void SacDiscrete::refresh(const Stream& stream) {
  OffPolicyActorCritic::refresh(stream);
  temperature_.refresh(stream);
}

void SacDiscrete::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& s = act_scratch_[static_cast<std::size_t>(request.worker)];
  infer(stream, request, s);
  act_categorical(stream, rows_of(request), policy(s.policy));
}

void SacDiscrete::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
                        float actor_rate) {
  const UniformSampler sampler = this->sampler(ring, update);
  for_each_tile_of_batch(stream, [&](const Stream& serial, const Tile& tile) { fit_critics(serial, sampler, tile); });
  critic_.network().update(stream, groups_, critic_rate);
  for_each_tile_of_batch(stream,
                         [&](const Stream& serial, const Tile& tile) { improve_policy(serial, sampler, tile); });
  actor_.update(stream, groups_, actor_rate);
  temperature_.update(stream, group_policy_metrics(0) + SacRowMetrics::kLogProb, metrics_, groups_, batch_size_,
                      critic_rate);
  critic_.update_target(stream, tau_);
  add_metrics(stream);
}

// (Q_k(s, a) - r - gamma V(s'))^2 with V of equation 10, an exact expectation under the policy.
void SacDiscrete::fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) critic.clear_gradients(stream, tile.group);
  const Transitions batch = batch_.from(tile.begin);
  sample_tile(stream, sampler, tile, temperature_.alpha());
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch.next_indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, false, s.actor_workspace,
                           s.policy);
  critic.network().forward(stream, critic_.target_parameters().data, s.states.input(), tile.rows, false,
                           s.critic_workspace, s.q);
  expected_bootstrap(stream, tile.rows, policy(s.policy), critic_.outputs(s.q), temperature_.alpha(), s.bootstrap);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch.indices, tile.rows, s.states);
  critic.network().forward(stream, critic.parameters(), s.states.input(), tile.rows, true, s.critic_workspace, s.q);
  taken_action_loss(stream, {sampler.ring,
                             batch.indices,
                             {critic_.outputs(s.q), batch.rewards, batch.discounts, s.bootstrap, tile.rows,
                              row_weight(), s.d_q, s.metrics}});
  backward_critics(stream, s.states.input(), tile, s);
}

// Equation 12: sum_a pi(a | s) (alpha log pi(a | s) - min_k Q_k(s, a)).
void SacDiscrete::improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) actor_.clear_gradients(stream, tile.group);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch_.from(tile.begin).indices, tile.rows, s.states);
  critic.network().forward(stream, critic.parameters(), s.states.input(), tile.rows, false, s.critic_workspace, s.q);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, true, s.actor_workspace, s.policy);
  discrete_policy_tile_loss(stream, {policy(s.policy), critic_.outputs(s.q), temperature_.alpha(), tile.rows,
                                     row_weight(), s.d_policy, s.metrics});
  backward_policy(stream, tile, s);
}

void SacDiscrete::request_metrics(const Stream& stream) {
  OffPolicyActorCritic::request_metrics(stream);
  temperature_.request(stream);
}

SoftMetrics SacDiscrete::take_metrics(const Stream& stream) const {
  return soft_metrics(stream, take_sums(stream), temperature_);
}

}  // namespace stampede
