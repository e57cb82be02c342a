// SPDX-License-Identifier: Apache-2.0
#include "agents/sac.h"

#include <utility>

#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
SacNetworks Sac::networks(const SacConfig& config, const Space& observation, const Space& action,
                          const NetworkFactory& factory) {
  std::vector<HeadSpec> heads = {{"mean", action.size, 0.01f}, {"log_sigma", action.size, 0.01f}};
  std::vector<VectorSpec> vectors;
  if (config.state_noise.enabled) {
    heads.pop_back();
    vectors = {StateNoise::parameters(config.network, action, config.initial_log_sigma)};
  }
  TowerSpec tower = config.network.tower("actor", std::move(heads));
  tower.features = config.state_noise.enabled;
  const NetworkSpec actor(observation.size, false, {std::move(tower)}, std::move(vectors),
                          config.network.initialization);
  const int inputs = observation.size + action.size;
  SacNetworks networks{factory(actor),
                       factory(TwinCritic::network_spec(config.network, inputs, false, 1, config.critics)), nullptr};
  if (config.value_network) {
    networks.value = factory(TwinCritic::network_spec(config.network, observation.size, false, 1, 1));
  }
  return networks;
}

void Sac::check(const SacConfig& config, const Space& observation, const Space& action, const RingShape& shape) {
  if (observation.is_discrete()) throw UsageError("critics of continuous actions need Box observations");
  action_code(action);
  check_batch(shape, config.batch_size, config.n_step);
}

Sac::Sac(const SacConfig& config, const Space& action, const SacNetworks& networks, const RingShape& shape, int workers,
         int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : OffPolicyActorCritic(config, action_code(action), networks.actor, networks.critic, shape, SacRowMetrics::kSize,
                           seed, stream, arena),
      temperature_(config.temperature, config.optimizer, arena),
      noise_(config.noise, shape.environments, code_.size, arena) {
  if (config.value_network) value_.emplace(networks.value, config.optimizer, groups_, arena);
  if (config.state_noise.enabled) state_noise_.emplace(config.state_noise, actor_.spec(), action.size);
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_sac_scratch(act_rows, false, arena));
    learn_scratch_.push_back(take_sac_scratch(tile_rows_, true, arena));
  }
}

Sac::SacScratch Sac::take_sac_scratch(int rows, bool gradient, Arena& arena) const {
  SacScratch s;
  take_scratch(rows, arena, s);
  if (state_noise_) {
    s.state_noise = gradient ? state_noise_->take_learning(rows, arena) : state_noise_->take_acting(rows, arena);
  }
  take_state_actions(rows, arena, s);
  s.noise = take_rows(rows, code_.size, arena);
  s.log_probs = take_rows(rows, 1, arena);
  if (!value_) return s;
  const Network& value = value_->network().network();
  s.value_workspace = arena.take<float>(value.workspace_size(rows, true)).data;
  s.values = take_rows(rows, value.spec().output_stride(), arena);
  s.d_values = take_rows(rows, value.spec().output_stride(), arena);
  return s;
}

SquashedOutputs Sac::policy_outputs(const Stream& stream, int rows, const SacScratch& s) const {
  const NetworkSpec& spec = actor_.spec();
  const int stride = spec.output_stride();
  const float* const means = s.policy + spec.head("mean").column;
  if (!state_noise_) return {means, stride, {s.policy + spec.head("log_sigma").column, stride}, code_.size};
  state_noise_->measure(stream, actor_.parameters(), s.policy, rows, s.state_noise);
  return {means, stride, s.state_noise.log_sigmas(), code_.size};
}

void Sac::initialize(const Stream& stream) {
  OffPolicyActorCritic::initialize(stream);
  if (value_) value_->initialize(stream, seed_ + 1);
  temperature_.initialize(stream);
}

void Sac::refresh(const Stream& stream) {
  OffPolicyActorCritic::refresh(stream);
  if (value_) value_->network().refresh(stream);
  temperature_.refresh(stream);
}

void Sac::act(const Stream& stream, const ActRequest& request) const {
  const SacScratch& s = act_scratch_[static_cast<std::size_t>(request.worker)];
  infer(stream, request, s);
  const ActRows rows = rows_of(request);
  SquashedOutputs policy = policy_outputs(stream, rows.rows, s);
  if (state_noise_ && (request.mode == ActMode::kExplore || request.mode == ActMode::kStochastic)) {
    state_noise_->draw(stream, s.policy, rows.begin, rows.rows, rows.seed, rows.row, s.state_noise);
    policy.noise = s.state_noise.noise;
  }
  act_squashed(stream, rows, policy, noise_.view());
}

void Sac::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
                float actor_rate) {
  const UniformSampler sampler = this->sampler(ring, update);
  for_each_tile_of_batch(stream, [&](const Stream& serial, const Tile& tile) { fit_critics(serial, sampler, tile); });
  critic_.network().update(stream, groups_, critic_rate);
  for_each_tile_of_batch(stream,
                         [&](const Stream& serial, const Tile& tile) { improve_policy(serial, sampler, tile); });
  actor_.update(stream, groups_, actor_rate);
  if (value_) value_->network().update(stream, groups_, critic_rate);
  temperature_.update(stream, group_policy_metrics(0) + SacRowMetrics::kLogProb, metrics_, groups_, batch_size_,
                      critic_rate);
  update_targets(stream);
  add_metrics(stream);
}

// Equations 5 and 6: (Q_k(s, a) - r - gamma (min_k Qbar_k(s', a') - alpha log pi(a' | s')))^2; r of several steps is a
// soft return.
void Sac::fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const SacScratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  if (tile.first) critic_.network().clear_gradients(stream, tile.group);
  sample_tile(stream, sampler, tile, temperature_.alpha());
  bootstrap_next_states(stream, sampler, tile, s);
  regress_critics(stream, sampler.ring, tile, s);
}

void Sac::bootstrap_next_states(const Stream& stream, const UniformSampler& sampler, const Tile& tile,
                                const SacScratch& s) {
  const std::int32_t* const indices = batch_.from(tile.begin).next_indices;
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, indices, tile.rows, s.states);
  if (value_) {  // 2018a, equation 8
    value_->network().network().forward(stream, value_->target_parameters().data, s.states.input(), tile.rows, false,
                                        s.value_workspace, s.values);
    return smallest_values(stream, tile.rows, value_->outputs(s.values), s.bootstrap);
  }
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, false, s.actor_workspace,
                           s.policy);
  gather_states(stream, sampler.ring, indices, tile.rows, s.state_actions);
  sample_policy(stream, tile.rows,
                {policy_outputs(stream, tile.rows, s),
                 {seed_, sampler.key.row, Purpose::kTargetAction},
                 tile.begin,
                 s.state_actions,
                 shape_.obs_size,
                 nullptr,
                 s.log_probs});
  critic_.network().network().forward(stream, critic_.target_parameters().data, {s.state_actions.features, nullptr},
                                      tile.rows, false, s.critic_workspace, s.q);
  soft_bootstrap(stream, tile.rows, critic_.outputs(s.q), s.log_probs, temperature_.alpha(), s.bootstrap);
}

// Equations 7 and 9: alpha log pi(a | s) - min_k Q_k(s, a), a = f(noise; s), through the critics into the policy.
void Sac::improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const SacScratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) actor_.clear_gradients(stream, tile.group);
  const float weight = row_weight();
  const std::int32_t* const indices = batch_.from(tile.begin).indices;
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, true, s.actor_workspace, s.policy);
  const SquashedOutputs policy = policy_outputs(stream, tile.rows, s);
  gather_states(stream, sampler.ring, indices, tile.rows, s.state_actions);
  sample_policy(stream, tile.rows,
                {policy,
                 {seed_, sampler.key.row, Purpose::kPolicyAction},
                 tile.begin,
                 s.state_actions,
                 shape_.obs_size,
                 s.noise,
                 s.log_probs});
  const NetworkInput input{s.state_actions.features, nullptr};
  critic.network().forward(stream, critic.parameters(), input, tile.rows, true, s.critic_workspace, s.q);
  sac_policy_tile_loss(stream,
                       {critic_.outputs(s.q), s.log_probs, temperature_.alpha(), tile.rows, weight, s.d_q, s.metrics});
  if (value_) fit_value(stream, tile, s);
  critic.network().backward(stream, critic.parameters(), critic.prepared(), input, tile.rows, s.d_q, s.critic_workspace,
                            nullptr, s.d_state_actions);
  differentiate_policy(stream, tile, policy, s);
  backward_policy(stream, tile, s);
}

void Sac::differentiate_policy(const Stream& stream, const Tile& tile, const SquashedOutputs& policy,
                               const SacScratch& s) {
  const NetworkSpec& spec = actor_.spec();
  SacPolicyGradient gradient{.policy = policy,
                             .noise = s.noise,
                             .d_critic_inputs = s.d_state_actions,
                             .critic_stride = s.state_actions.stride,
                             .obs_size = shape_.obs_size,
                             .alpha = temperature_.alpha(),
                             .weight = row_weight(),
                             .d_outputs = s.d_policy,
                             .d_stride = spec.output_stride(),
                             .d_means = s.d_policy + spec.head("mean").column,
                             .d_log_sigmas = s.state_noise.d_log_sigma};
  if (!state_noise_) gradient.d_log_sigmas = s.d_policy + spec.head("log_sigma").column;
  sac_policy_gradient(stream, tile.rows, gradient);
  if (!state_noise_) return;
  state_noise_->backward(stream, s.policy, tile.rows, s.state_noise, s.d_policy, actor_.gradients(tile.group));
}

// 2018a, equation 5: V(s) towards min_k Q_k(s, a) - alpha log pi(a | s).
void Sac::fit_value(const Stream& stream, const Tile& tile, const SacScratch& s) {
  const TrainableNetwork& value = value_->network();
  if (tile.first) value.clear_gradients(stream, tile.group);
  value.network().forward(stream, value.parameters(), s.states.input(), tile.rows, true, s.value_workspace, s.values);
  value_tile_loss(stream, {s.values, value.spec().output_stride(), critic_.outputs(s.q), s.log_probs,
                           temperature_.alpha(), tile.rows, row_weight(), s.d_values, s.metrics});
  value.network().backward(stream, value.parameters(), value.prepared(), s.states.input(), tile.rows, s.d_values,
                           s.value_workspace, value.gradients(tile.group), nullptr);
}

void Sac::update_targets(const Stream& stream) {
  if (value_) return value_->update_target(stream, tau_);
  critic_.update_target(stream, tau_);
}

void Sac::request_metrics(const Stream& stream) {
  OffPolicyActorCritic::request_metrics(stream);
  temperature_.request(stream);
  if (value_) value_state_.request(stream, value_->network().state_block());
}

SoftMetrics Sac::take_metrics(const Stream& stream) const {
  SoftMetrics metrics = soft_metrics(stream, take_sums(stream), temperature_);
  if (value_) metrics.failed |= value_state_.wait(stream)[0].failed != 0;
  return metrics;
}

}  // namespace stampede
