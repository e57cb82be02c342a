// SPDX-License-Identifier: Apache-2.0
#include "agents/sac.h"

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
namespace {

// A group's sums: the critics' metrics, then the policy's.
constexpr int kMetrics = CriticRowMetrics::kSize + SacRowMetrics::kSize;

}  // namespace

SacNetworks Sac::networks(const SacConfig& config, const Space& observation, const Space& action,
                          const NetworkFactory& factory) {
  const NetworkSpec actor(
      observation.size, false,
      {config.network.tower("actor", {{"mean", action.size, 0.01f}, {"log_sigma", action.size, 0.01f}})}, {},
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
    : config_(config),
      code_(action_code(action)),
      shape_(shape),
      seed_(seed),
      groups_(gradient_groups(stream, *networks.critic, config.batch_size)),
      tile_rows_(tile_rows(stream, *networks.critic, config.batch_size)),
      actor_(networks.actor, config.optimizer, groups_, arena),
      critic_(networks.critic, config.optimizer, groups_, arena),
      temperature_(config.temperature, config.optimizer, arena),
      noise_(config.noise, shape.environments, code_.size, arena),
      identity_(false, shape, arena),
      batch_(Transitions::take(config.batch_size, arena)) {
  if (config.value_network) value_.emplace(networks.value, config.optimizer, groups_, arena);
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_scratch(act_rows, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, arena));
  }
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(groups_ * kMetrics));
  metric_totals_ = arena.take<double>(kMetrics);
}

Sac::Scratch Sac::take_scratch(int rows, Arena& arena) const {
  const auto floats = [&](int width) {
    return arena.take<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(width)).data;
  };
  const auto workspace = [&](const TrainableNetwork& network) {
    return arena.take<float>(network.network().workspace_size(rows, true)).data;
  };
  const NetworkSpec &actor = actor_.spec(), &critic = critic_.network().spec();
  Scratch s;
  s.states = InputRows::take(actor, rows, arena);
  s.state_actions = CriticRows::take(rows, critic.input_stride(), code_, arena);
  s.actor_workspace = workspace(actor_);
  s.critic_workspace = workspace(critic_.network());
  s.policy = floats(actor.output_stride());
  s.d_policy = floats(actor.output_stride());
  s.q = floats(critic.output_stride());
  s.d_q = floats(critic.output_stride());
  s.d_state_actions = floats(critic.input_stride());
  s.noise = floats(code_.size);
  s.log_probs = floats(1);
  s.bootstrap = floats(1);
  s.metrics = floats(kMetrics);
  if (!value_) return s;
  s.value_workspace = workspace(value_->network());
  s.values = floats(value_->network().spec().output_stride());
  s.d_values = floats(value_->network().spec().output_stride());
  return s;
}

SquashedOutputs Sac::policy_outputs(const float* values) const {
  const NetworkSpec& spec = actor_.spec();
  return {values, spec.output_stride(), spec.head("mean").column, spec.head("log_sigma").column, code_.size};
}

double* Sac::group_metrics(int group) const { return group_metrics_.data + group * kMetrics; }

void Sac::initialize(const Stream& stream) {
  actor_.initialize(stream, seed_);
  critic_.initialize(stream, seed_);
  if (value_) value_->initialize(stream, seed_ + 1);
  temperature_.initialize(stream);
}

void Sac::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& s = act_scratch_[static_cast<std::size_t>(request.worker)];
  const int rows = request.end - request.begin;
  if (request.mode != ActMode::kRandom) {
    prepare_inputs(stream, actor_.spec(), identity_, request.obs, request.begin, rows, s.states);
    actor_.network().forward(stream, actor_.parameters(), s.states.input(), rows, false, s.actor_workspace, s.policy);
  }
  act_squashed(stream, act_rows(request, code_, shape_.record, seed_), policy_outputs(s.policy), noise_.view());
}

void Sac::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
                float actor_rate) {
  const UniformSampler sampler{
      ring.view(), sample_window(ring), {seed_, update, Purpose::kReplaySample}, config_.n_step};
  for_each_tile(stream, config_.batch_size, groups_, tile_rows_,
                [&](const Stream& serial, const Tile& tile) { fit_critics(serial, sampler, tile); });
  critic_.network().update(stream, groups_, critic_rate);
  for_each_tile(stream, config_.batch_size, groups_, tile_rows_,
                [&](const Stream& serial, const Tile& tile) { improve_policy(serial, sampler, tile); });
  actor_.update(stream, groups_, actor_rate);
  if (value_) value_->network().update(stream, groups_, critic_rate);
  temperature_.update(stream, group_metrics_.data + CriticRowMetrics::kSize + SacRowMetrics::kLogProb, kMetrics,
                      groups_, config_.batch_size, critic_rate);
  update_targets(stream);
  add_group_metrics(stream, group_metrics_.data, groups_, kMetrics, metric_totals_.data);
}

// Equations 5 and 6: (Q_k(s, a) - r - gamma (min_k Qbar_k(s', a') - alpha log pi(a' | s')))^2.
void Sac::fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) critic.clear_gradients(stream, tile.group);
  const Transitions batch = batch_.from(tile.begin);
  sample_transitions(stream, sampler, config_.gamma, tile.begin, tile.rows, batch);
  bootstrap_next_states(stream, sampler, tile, s);
  gather_state_actions(stream, sampler.ring, batch.indices, tile.rows, s.state_actions);
  const NetworkInput input{s.state_actions.features, nullptr};
  critic.network().forward(stream, critic.parameters(), input, tile.rows, true, s.critic_workspace, s.q);
  critic_tile_loss(stream, {critic_.outputs(s.q), batch.rewards, batch.discounts, s.bootstrap, tile.rows,
                            1.0f / static_cast<float>(config_.batch_size), s.d_q, s.metrics});
  critic.network().backward(stream, critic.parameters(), critic.prepared(), input, tile.rows, s.d_q, s.critic_workspace,
                            critic.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, CriticRowMetrics::kSize, group_metrics(tile.group));
}

void Sac::bootstrap_next_states(const Stream& stream, const UniformSampler& sampler, const Tile& tile,
                                const Scratch& s) {
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
                {policy_outputs(s.policy),
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
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) actor_.clear_gradients(stream, tile.group);
  const float weight = 1.0f / static_cast<float>(config_.batch_size);
  const std::int32_t* const indices = batch_.from(tile.begin).indices;
  const SquashedOutputs policy = policy_outputs(s.policy);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, true, s.actor_workspace, s.policy);
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
  sac_policy_gradient(stream, tile.rows,
                      {policy, s.noise, s.d_state_actions, s.state_actions.stride, shape_.obs_size,
                       temperature_.alpha(), weight, s.d_policy});
  actor_.network().backward(stream, actor_.parameters(), actor_.prepared(), s.states.input(), tile.rows, s.d_policy,
                            s.actor_workspace, actor_.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, SacRowMetrics::kSize,
                  group_metrics(tile.group) + CriticRowMetrics::kSize);
}

// 2018a, equation 5: V(s) towards min_k Q_k(s, a) - alpha log pi(a | s).
void Sac::fit_value(const Stream& stream, const Tile& tile, const Scratch& s) {
  const TrainableNetwork& value = value_->network();
  if (tile.first) value.clear_gradients(stream, tile.group);
  value.network().forward(stream, value.parameters(), s.states.input(), tile.rows, true, s.value_workspace, s.values);
  value_tile_loss(stream,
                  {s.values, value.spec().output_stride(), critic_.outputs(s.q), s.log_probs, temperature_.alpha(),
                   tile.rows, 1.0f / static_cast<float>(config_.batch_size), s.d_values, s.metrics});
  value.network().backward(stream, value.parameters(), value.prepared(), s.states.input(), tile.rows, s.d_values,
                           s.value_workspace, value.gradients(tile.group), nullptr);
}

void Sac::update_targets(const Stream& stream) {
  if (value_) return value_->update_target(stream, config_.tau);
  critic_.update_target(stream, config_.tau);
}

SacMetrics Sac::read_metrics(const Stream& stream) {
  const std::vector<double> sums = to_host(stream, metric_totals_);
  LearnerState critic, actor;
  copy_to_host(stream, &critic, critic_.network().state(), sizeof critic);
  copy_to_host(stream, &actor, actor_.state(), sizeof actor);
  float alpha = 0.0f;
  copy_to_host(stream, &alpha, temperature_.alpha(), sizeof alpha);
  fill_zero(stream, metric_totals_.data, metric_totals_.size() * sizeof(double));
  const double count = std::max(1.0, sums[CriticRowMetrics::kCount]);
  const double* const policy = sums.data() + CriticRowMetrics::kSize;
  return {sums[CriticRowMetrics::kLoss] / count,
          sums[CriticRowMetrics::kQ] / count,
          sums[CriticRowMetrics::kAbsoluteError] / count,
          sums[CriticRowMetrics::kTarget] / count,
          policy[SacRowMetrics::kPolicyLoss] / count,
          -policy[SacRowMetrics::kLogProb] / count,
          policy[SacRowMetrics::kValueLoss] / count,
          critic.gradient_norm,
          actor.gradient_norm,
          alpha,
          critic.failed != 0 || actor.failed != 0};
}

}  // namespace stampede
