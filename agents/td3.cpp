// SPDX-License-Identifier: Apache-2.0
#include "agents/td3.h"

#include <algorithm>
#include <string>

#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
Td3Networks Td3::networks(const Td3Config& config, const Space& observation, const Space& action,
                          const NetworkFactory& factory) {
  const int width = action_code(action).size;
  NetworkShape actor = config.network, critic = config.network;
  actor.batch_norm = config.batch_norm != BatchNormLayers::kNone;
  critic.batch_norm = config.batch_norm == BatchNormLayers::kAll;
  const NetworkSpec spec(observation.size, false, {actor.tower("actor", {{"action", width, 0.01f}})}, {},
                         actor.initialization);
  return {factory(spec), factory(TwinCritic::network_spec(critic, observation.size + width, false, 1, config.critics))};
}

void Td3::check(const Td3Config& config, const Space& observation, const Space& action, const RingShape& shape) {
  if (observation.is_discrete()) throw UsageError("critics of (observation, action) need Box observations");
  if (action_code(action).size > kMaxActions) {
    throw UsageError("Gumbel-softmax actions: " + std::to_string(action.count) + " are more than " +
                     std::to_string(kMaxActions));
  }
  if (config.batch_norm != BatchNormLayers::kNone && config.optimizer.weight_decay > 0.0f) {
    throw UsageError("weight_decay: would shrink the running statistics of batch_norm; set it to 0");
  }
  check_batch(shape, config.batch_size, config.n_step);
}

Td3::Td3(const Td3Config& config, const Space& action, const Td3Networks& networks, const RingShape& shape, int workers,
         int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : OffPolicyActorCritic(config, action_code(action), networks.actor, networks.critic, shape, Td3RowMetrics::kSize,
                           seed, stream, arena),
      config_(config),
      actor_target_(arena.take<float>(actor_.spec().parameter_count())),
      noise_(config.noise, shape.environments, code_.size, arena) {
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_td3_scratch(act_rows, arena));
    learn_scratch_.push_back(take_td3_scratch(tile_rows_, arena));
  }
}

Td3::Td3Scratch Td3::take_td3_scratch(int rows, Arena& arena) const {
  Td3Scratch s;
  take_scratch(rows, arena, s);
  take_state_actions(rows, arena, s);
  s.softened = take_rows(rows, code_.discrete ? code_.size : 0, arena);
  return s;
}

void Td3::initialize(const Stream& stream) {
  OffPolicyActorCritic::initialize(stream);
  polyak_update(stream, actor_.parameters(), actor_target_.data, actor_target_.size(), 1.0f);
}

void Td3::act(const Stream& stream, const ActRequest& request) const {
  const Td3Scratch& s = act_scratch_[static_cast<std::size_t>(request.worker)];
  infer(stream, request, s);
  act_deterministic(stream, rows_of(request), actor_outputs(s.policy), noise_.view());
}

void Td3::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
                float actor_rate) {
  const UniformSampler sampler = this->sampler(ring, update);
  for_each_tile_of_batch(stream, [&](const Stream& serial, const Tile& tile) { fit_critics(serial, sampler, tile); });
  critic_.network().update(stream, groups_, critic_rate);
  if ((update + 1) % static_cast<std::uint64_t>(config_.policy_delay) == 0) {
    for_each_tile_of_batch(stream,
                           [&](const Stream& serial, const Tile& tile) { improve_policy(serial, sampler, tile); });
    actor_.update(stream, groups_, actor_rate);
    update_targets(stream);
  }
  add_metrics(stream);
}

// y = r + gamma min_k Qbar_k(s', a'), a' the target policy's action with clipped noise; (Q_k(s, a) - y)^2.
void Td3::fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Td3Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) critic.clear_gradients(stream, tile.group);
  const Transitions batch = batch_.from(tile.begin);
  const NetworkInput input{s.state_actions.features, nullptr};
  sample_tile(stream, sampler, tile);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch.next_indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_target_.data, s.states.input(), tile.rows, false, s.actor_workspace, s.policy);
  gather_states(stream, sampler.ring, batch.next_indices, tile.rows, s.state_actions);
  choose_target_actions(stream, tile.rows,
                        {actor_outputs(s.policy),
                         {seed_, sampler.key.row, Purpose::kTargetAction},
                         tile.begin,
                         s.state_actions,
                         shape_.obs_size},
                        config_.smoothing);
  critic.network().forward(stream, critic_.target_parameters().data, input, tile.rows, false, s.critic_workspace, s.q);
  smallest_values(stream, tile.rows, critic_.outputs(s.q), s.bootstrap);
  regress_critics(stream, sampler.ring, tile, s);
  critic_.network().update_statistics(stream, s.critic_workspace, tile.rows);
}

// The deterministic policy gradient: grad_a Q_1(s, a) at a = mu(s), times grad mu(s).
void Td3::improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Td3Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  if (tile.first) actor_.clear_gradients(stream, tile.group);
  const float weight = row_weight();
  const std::int32_t* const indices = batch_.from(tile.begin).indices;
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, true, s.actor_workspace, s.policy);
  gather_states(stream, sampler.ring, indices, tile.rows, s.state_actions);
  choose_policy_actions(stream, tile.rows,
                        {actor_outputs(s.policy),
                         {seed_, sampler.key.row, Purpose::kPolicyAction},
                         tile.begin,
                         s.state_actions,
                         shape_.obs_size},
                        config_.gumbel_temperature, s.softened);
  differentiate_actions(stream, tile);
  td3_policy_gradient(stream, tile.rows,
                      {actor_outputs(s.policy), s.state_actions, s.softened, s.d_state_actions, shape_.obs_size,
                       config_.gumbel_temperature, code_.discrete ? config_.logit_penalty : config_.saturation_penalty,
                       weight, s.d_policy});
  backward_policy(stream, tile, s);
  actor_.update_statistics(stream, s.actor_workspace, tile.rows);
}

// dL/da of L = -Q_1(s, a) into d_state_actions, for relaxed discrete actions of L = -sum_j a_j Q_1(s, e_j).
void Td3::differentiate_actions(const Stream& stream, const Tile& tile) {
  const Td3Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  const float weight = row_weight();
  const NetworkInput input{s.state_actions.features, nullptr};
  for (int j = 0; code_.discrete && j < code_.size; ++j) {
    const LinearExtension extension{s.state_actions, s.softened, s.d_state_actions, shape_.obs_size, j};
    write_one_hot_actions(stream, tile.rows, extension);
    critic.network().forward(stream, critic.parameters(), input, tile.rows, false, s.critic_workspace, s.q);
    linear_extension_loss(stream, tile.rows, extension, critic_.outputs(s.q), weight, s.metrics);
  }
  if (code_.discrete) return;
  critic.network().forward(stream, critic.parameters(), input, tile.rows, true, s.critic_workspace, s.q);
  td3_policy_tile_loss(stream, tile.rows, critic_.outputs(s.q), weight, s.d_q, s.metrics);
  critic.network().backward(stream, critic.parameters(), critic.prepared(), input, tile.rows, s.d_q, s.critic_workspace,
                            nullptr, s.d_state_actions);
}

void Td3::update_targets(const Stream& stream) {
  critic_.update_target(stream, tau_);
  follow(stream, actor_.spec(), actor_.parameters(), actor_target_.data, tau_);
}

Td3Metrics Td3::take_metrics(const Stream& stream) const {
  Td3Metrics metrics{take_sums(stream)};
  const std::vector<double>& sums = metrics.policy_sums;
  metrics.policy_loss = sums[Td3RowMetrics::kPolicyLoss] / std::max(1.0, sums[Td3RowMetrics::kCount]);
  return metrics;
}

}  // namespace stampede
