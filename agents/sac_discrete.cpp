// SPDX-License-Identifier: Apache-2.0
#include "agents/sac_discrete.h"

#include <string>

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
namespace {

// A group's sums: the critics' metrics, then the policy's.
constexpr int kMetrics = CriticRowMetrics::kSize + SacRowMetrics::kSize;

}  // namespace

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
    : config_(config),
      code_(action_code(action)),
      shape_(shape),
      seed_(seed),
      groups_(gradient_groups(stream, *networks.critic, config.batch_size)),
      tile_rows_(tile_rows(stream, *networks.critic, config.batch_size)),
      actor_(networks.actor, config.optimizer, groups_, arena),
      critic_(networks.critic, config.optimizer, groups_, arena),
      temperature_(config.temperature, config.optimizer, arena),
      identity_(false, shape, arena),
      batch_(Transitions::take(config.batch_size, arena)) {
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_scratch(act_rows, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, arena));
  }
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(groups_ * kMetrics));
  metric_totals_ = arena.take<double>(kMetrics);
}

SacDiscrete::Scratch SacDiscrete::take_scratch(int rows, Arena& arena) const {
  const auto floats = [&](int width) {
    return arena.take<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(width)).data;
  };
  const NetworkSpec &actor = actor_.spec(), &critic = critic_.network().spec();
  Scratch s;
  s.states = InputRows::take(actor, rows, arena);
  s.actor_workspace = arena.take<float>(actor_.network().workspace_size(rows, true)).data;
  s.critic_workspace = arena.take<float>(critic_.network().network().workspace_size(rows, true)).data;
  s.logits = floats(actor.output_stride());
  s.d_logits = floats(actor.output_stride());
  s.q = floats(critic.output_stride());
  s.d_q = floats(critic.output_stride());
  s.bootstrap = floats(1);
  s.metrics = floats(kMetrics);
  return s;
}

double* SacDiscrete::group_metrics(int group) const { return group_metrics_.data + group * kMetrics; }

void SacDiscrete::initialize(const Stream& stream) {
  actor_.initialize(stream, seed_);
  critic_.initialize(stream, seed_);
  temperature_.initialize(stream);
}

void SacDiscrete::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& s = act_scratch_[static_cast<std::size_t>(request.worker)];
  const int rows = request.end - request.begin;
  if (request.mode != ActMode::kRandom) {
    prepare_inputs(stream, actor_.spec(), identity_, request.obs, request.begin, rows, s.states);
    actor_.network().forward(stream, actor_.parameters(), s.states.input(), rows, false, s.actor_workspace, s.logits);
  }
  act_categorical(stream, act_rows(request, code_, shape_.record, seed_), policy(s.logits));
}

void SacDiscrete::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
                        float actor_rate) {
  const UniformSampler sampler{
      ring.view(), sample_window(ring), {seed_, update, Purpose::kReplaySample}, config_.n_step};
  for_each_tile(stream, config_.batch_size, groups_, tile_rows_,
                [&](const Stream& serial, const Tile& tile) { fit_critics(serial, sampler, tile); });
  critic_.network().update(stream, groups_, critic_rate);
  for_each_tile(stream, config_.batch_size, groups_, tile_rows_,
                [&](const Stream& serial, const Tile& tile) { improve_policy(serial, sampler, tile); });
  actor_.update(stream, groups_, actor_rate);
  temperature_.update(stream, group_metrics_.data + CriticRowMetrics::kSize + SacRowMetrics::kLogProb, kMetrics,
                      groups_, config_.batch_size, critic_rate);
  critic_.update_target(stream, config_.tau);
  add_group_metrics(stream, group_metrics_.data, groups_, kMetrics, metric_totals_.data);
}

// (Q_k(s, a) - r - gamma V(s'))^2 with V of equation 10, an exact expectation under the policy.
void SacDiscrete::fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) critic.clear_gradients(stream, tile.group);
  const Transitions batch = batch_.from(tile.begin);
  sample_transitions(stream, sampler, config_.gamma, tile.begin, tile.rows, batch);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch.next_indices, tile.rows, s.states);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, false, s.actor_workspace,
                           s.logits);
  critic.network().forward(stream, critic_.target_parameters().data, s.states.input(), tile.rows, false,
                           s.critic_workspace, s.q);
  expected_bootstrap(stream, tile.rows, policy(s.logits), critic_.outputs(s.q), temperature_.alpha(), s.bootstrap);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch.indices, tile.rows, s.states);
  critic.network().forward(stream, critic.parameters(), s.states.input(), tile.rows, true, s.critic_workspace, s.q);
  taken_action_loss(stream, {sampler.ring,
                             batch.indices,
                             {critic_.outputs(s.q), batch.rewards, batch.discounts, s.bootstrap, tile.rows,
                              1.0f / static_cast<float>(config_.batch_size), s.d_q, s.metrics}});
  critic.network().backward(stream, critic.parameters(), critic.prepared(), s.states.input(), tile.rows, s.d_q,
                            s.critic_workspace, critic.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, CriticRowMetrics::kSize, group_metrics(tile.group));
}

// Equation 12: sum_a pi(a | s) (alpha log pi(a | s) - min_k Q_k(s, a)).
void SacDiscrete::improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile) {
  const Scratch& s = learn_scratch_[static_cast<std::size_t>(tile.worker)];
  const TrainableNetwork& critic = critic_.network();
  if (tile.first) actor_.clear_gradients(stream, tile.group);
  gather_inputs(stream, actor_.spec(), identity_, sampler.ring, batch_.from(tile.begin).indices, tile.rows, s.states);
  critic.network().forward(stream, critic.parameters(), s.states.input(), tile.rows, false, s.critic_workspace, s.q);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), tile.rows, true, s.actor_workspace, s.logits);
  discrete_policy_tile_loss(stream, {policy(s.logits), critic_.outputs(s.q), temperature_.alpha(), tile.rows,
                                     1.0f / static_cast<float>(config_.batch_size), s.d_logits, s.metrics});
  actor_.network().backward(stream, actor_.parameters(), actor_.prepared(), s.states.input(), tile.rows, s.d_logits,
                            s.actor_workspace, actor_.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, SacRowMetrics::kSize,
                  group_metrics(tile.group) + CriticRowMetrics::kSize);
}

SacDiscreteMetrics SacDiscrete::read_metrics(const Stream& stream) {
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
          critic.gradient_norm,
          actor.gradient_norm,
          alpha,
          critic.failed != 0 || actor.failed != 0};
}

}  // namespace stampede
