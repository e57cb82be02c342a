// SPDX-License-Identifier: Apache-2.0
#include "agents/td3.h"

#include <string>

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
namespace {

// A group's sums: the critics' metrics, then the policy's.
constexpr int kMetrics = CriticRowMetrics::kSize + Td3RowMetrics::kSize;

}  // namespace

Td3Networks Td3::networks(const Td3Config& config, const Space& observation, const Space& action,
                          const NetworkFactory& factory) {
  const int width = action_code(action).size;
  const NetworkSpec actor(observation.size, false, {config.network.tower("actor", {{"action", width, 0.01f}})}, {},
                          config.network.initialization);
  return {factory(actor),
          factory(TwinCritic::network_spec(config.network, observation.size + width, false, 1, config.critics))};
}

void Td3::check(const Td3Config& config, const Space& observation, const Space& action, const RingShape& shape) {
  if (observation.is_discrete()) throw UsageError("critics of (observation, action) need Box observations");
  if (action_code(action).size > kMaxActions) {
    throw UsageError("Gumbel-softmax actions: " + std::to_string(action.count) + " are more than " +
                     std::to_string(kMaxActions));
  }
  check_batch(shape, config.batch_size, config.n_step);
}

Td3::Td3(const Td3Config& config, const Space& action, const Td3Networks& networks, const RingShape& shape, int workers,
         int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      code_(action_code(action)),
      shape_(shape),
      seed_(seed),
      groups_(gradient_groups(stream, *networks.critic, config.batch_size)),
      tile_rows_(tile_rows(stream, *networks.critic, config.batch_size)),
      actor_(networks.actor, config.optimizer, groups_, arena),
      critic_(networks.critic, config.optimizer, groups_, arena),
      actor_target_(arena.take<float>(actor_.spec().parameter_count())),
      noise_(config.noise, shape.environments, code_.size, arena),
      identity_(false, shape, arena),
      batch_(Transitions::take(config.batch_size, arena)) {
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_scratch(act_rows, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, arena));
  }
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(groups_ * kMetrics));
  metric_totals_ = arena.take<double>(kMetrics);
}

Td3::Scratch Td3::take_scratch(int rows, Arena& arena) const {
  const auto floats = [&](int width) {
    return arena.take<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(width)).data;
  };
  const NetworkSpec &actor = actor_.spec(), &critic = critic_.network().spec();
  Scratch s;
  s.states = InputRows::take(actor, rows, arena);
  s.state_actions = CriticRows::take(rows, critic.input_stride(), code_, arena);
  s.actor_workspace = arena.take<float>(actor_.network().workspace_size(rows, true)).data;
  s.critic_workspace = arena.take<float>(critic_.network().network().workspace_size(rows, true)).data;
  s.actions = floats(actor.output_stride());
  s.d_actions = floats(actor.output_stride());
  s.q = floats(critic.output_stride());
  s.d_q = floats(critic.output_stride());
  s.d_state_actions = floats(critic.input_stride());
  s.softened = floats(code_.discrete ? code_.size : 0);
  s.bootstrap = floats(1);
  s.metrics = floats(kMetrics);
  return s;
}

double* Td3::group_metrics(int group) const { return group_metrics_.data + group * kMetrics; }

void Td3::initialize(const Stream& stream) {
  actor_.initialize(stream, seed_);
  critic_.initialize(stream, seed_);
  polyak_update(stream, actor_.parameters(), actor_target_.data, actor_target_.size(), 1.0f);
}

void Td3::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& s = act_scratch_[static_cast<std::size_t>(request.worker)];
  const int rows = request.end - request.begin;
  if (request.mode != ActMode::kRandom) {
    prepare_inputs(stream, actor_.spec(), identity_, request.obs, request.begin, rows, s.states);
    actor_.network().forward(stream, actor_.parameters(), s.states.input(), rows, false, s.actor_workspace, s.actions);
  }
  act_deterministic(stream, act_rows(request, code_, shape_.record, seed_), actor_outputs(s.actions), noise_.view());
}

void Td3::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
                float actor_rate) {
  const UniformSampler sampler{
      ring.view(), sample_window(ring), {seed_, update, Purpose::kReplaySample}, config_.n_step};
  for_each_tile(stream, config_.batch_size, groups_, tile_rows_,
                [&](const Stream& serial, const Tile& tile) { fit_critics(serial, sampler, tile); });
  critic_.network().update(stream, groups_, critic_rate);
  if ((update + 1) % static_cast<std::uint64_t>(config_.policy_delay) == 0) {
    for_each_tile(stream, config_.batch_size, groups_, tile_rows_,
                  [&](const Stream& serial, const Tile& tile) { improve_policy(serial, sampler, tile); });
    actor_.update(stream, groups_, actor_rate);
    update_targets(stream);
  }
  add_group_metrics(stream, group_metrics_.data, groups_, kMetrics, metric_totals_.data);
}

// y = r + gamma min_k Qbar_k(s', a'), a' the target policy's action with clipped noise; (Q_k(s, a) - y)^2.
void Td3::fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) critic.clear_gradients(stream, tile.group);
  const Transitions batch = batch_.from(tile.begin);
  const NetworkInput input{s.state_actions.features, nullptr};
  sample_transitions(stream, sampler, config_.gamma, tile.begin, tile.rows, batch);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch.next_indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_target_.data, s.states.input(), tile.rows, false, s.actor_workspace,
                           s.actions);
  gather_states(stream, sampler.ring, batch.next_indices, tile.rows, s.state_actions);
  choose_target_actions(stream, tile.rows,
                        {actor_outputs(s.actions),
                         {seed_, sampler.key.row, Purpose::kTargetAction},
                         tile.begin,
                         s.state_actions,
                         shape_.obs_size},
                        config_.smoothing);
  critic.network().forward(stream, critic_.target_parameters().data, input, tile.rows, false, s.critic_workspace, s.q);
  smallest_values(stream, tile.rows, critic_.outputs(s.q), s.bootstrap);
  gather_state_actions(stream, sampler.ring, batch.indices, tile.rows, s.state_actions);
  critic.network().forward(stream, critic.parameters(), input, tile.rows, true, s.critic_workspace, s.q);
  critic_tile_loss(stream, {critic_.outputs(s.q), batch.rewards, batch.discounts, s.bootstrap, tile.rows,
                            1.0f / static_cast<float>(config_.batch_size), s.d_q, s.metrics});
  critic.network().backward(stream, critic.parameters(), critic.prepared(), input, tile.rows, s.d_q, s.critic_workspace,
                            critic.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, CriticRowMetrics::kSize, group_metrics(tile.group));
}

// The deterministic policy gradient: grad_a Q_1(s, a) at a = mu(s), times grad mu(s).
void Td3::improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  if (tile.first) actor_.clear_gradients(stream, tile.group);
  const float weight = 1.0f / static_cast<float>(config_.batch_size);
  const std::int32_t* const indices = batch_.from(tile.begin).indices;
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, true, s.actor_workspace,
                           s.actions);
  gather_states(stream, sampler.ring, indices, tile.rows, s.state_actions);
  choose_policy_actions(stream, tile.rows,
                        {actor_outputs(s.actions),
                         {seed_, sampler.key.row, Purpose::kPolicyAction},
                         tile.begin,
                         s.state_actions,
                         shape_.obs_size},
                        config_.gumbel_temperature, s.softened);
  differentiate_actions(stream, tile);
  td3_policy_gradient(stream, tile.rows,
                      {actor_outputs(s.actions), s.state_actions, s.softened, s.d_state_actions, shape_.obs_size,
                       config_.gumbel_temperature, config_.logit_penalty, weight, s.d_actions});
  actor_.network().backward(stream, actor_.parameters(), actor_.prepared(), s.states.input(), tile.rows, s.d_actions,
                            s.actor_workspace, actor_.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, Td3RowMetrics::kSize,
                  group_metrics(tile.group) + CriticRowMetrics::kSize);
}

// dL/da of L = -Q_1(s, a) into d_state_actions, for relaxed discrete actions of L = -sum_j a_j Q_1(s, e_j).
void Td3::differentiate_actions(const Stream& stream, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  const float weight = 1.0f / static_cast<float>(config_.batch_size);
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
  critic_.update_target(stream, config_.tau);
  polyak_update(stream, actor_.parameters(), actor_target_.data, actor_target_.size(), config_.tau);
}

Td3Metrics Td3::read_metrics(const Stream& stream) {
  const std::vector<double> sums = to_host(stream, metric_totals_);
  LearnerState critic, actor;
  copy_to_host(stream, &critic, critic_.network().state(), sizeof critic);
  copy_to_host(stream, &actor, actor_.state(), sizeof actor);
  fill_zero(stream, metric_totals_.data, metric_totals_.size() * sizeof(double));
  const double count = std::max(1.0, sums[CriticRowMetrics::kCount]);
  const double* const policy = sums.data() + CriticRowMetrics::kSize;
  return {sums[CriticRowMetrics::kLoss] / count,
          sums[CriticRowMetrics::kQ] / count,
          sums[CriticRowMetrics::kAbsoluteError] / count,
          sums[CriticRowMetrics::kTarget] / count,
          policy[Td3RowMetrics::kPolicyLoss] / std::max(1.0, policy[Td3RowMetrics::kCount]),
          critic.gradient_norm,
          actor.gradient_norm,
          critic.step,
          actor.step,
          critic.failed != 0 || actor.failed != 0};
}

}  // namespace stampede
