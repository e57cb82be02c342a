// SPDX-License-Identifier: Apache-2.0
#include "agents/off_policy_actor_critic.h"

#include <algorithm>
#include <utility>

#include "agents/row_metrics.h"
#include "agents/soft_returns.h"
#include "kernels/buffer.h"

namespace stampede {

namespace {

// The network that needs a batch in one piece, if either does.
const Network& less_divisible(const Stream& stream, const Network& actor, const Network& critic) {
  return actor.preferred_rows(stream) == 0 ? actor : critic;
}

}  // namespace

OffPolicyActorCritic::OffPolicyActorCritic(const OffPolicyConfig& config, const ActionCode& code,
                                           std::shared_ptr<const Network> actor, std::shared_ptr<const Network> critic,
                                           const RingShape& shape, int policy_metrics, std::uint64_t seed,
                                           const Stream& stream, Arena& arena)
    : code_(code),
      shape_(shape),
      seed_(seed),
      gamma_(config.gamma),
      tau_(config.tau),
      n_step_(config.n_step),
      batch_size_(config.batch_size),
      groups_(gradient_groups(stream, less_divisible(stream, *actor, *critic), config.batch_size)),
      tile_rows_(tile_rows(stream, less_divisible(stream, *actor, *critic), config.batch_size)),
      metrics_(CriticRowMetrics::kSize + policy_metrics),
      actor_(std::move(actor), config.optimizer, groups_, arena),
      critic_(std::move(critic), config.optimizer, groups_, arena),
      identity_(false, shape, arena),
      batch_(Transitions::take(config.batch_size, arena)),
      group_metrics_(arena.take<double>(static_cast<std::size_t>(groups_ * metrics_))),
      metric_totals_(arena.take<double>(static_cast<std::size_t>(metrics_))) {}

float* OffPolicyActorCritic::take_rows(int rows, int width, Arena& arena) {
  return arena.take<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(width)).data;
}

void OffPolicyActorCritic::take_scratch(int rows, Arena& arena, Scratch& s) const {
  const NetworkSpec &actor = actor_.spec(), &critic = critic_.network().spec();
  s.states = InputRows::take(actor, rows, arena);
  s.actor_workspace = arena.take<float>(actor_.network().workspace_size(rows, true)).data;
  s.critic_workspace = arena.take<float>(critic_.network().network().workspace_size(rows, true)).data;
  s.policy = take_rows(rows, actor.output_stride(), arena);
  s.d_policy = take_rows(rows, actor.output_stride(), arena);
  s.q = take_rows(rows, critic.output_stride(), arena);
  s.d_q = take_rows(rows, critic.output_stride(), arena);
  s.bootstrap = take_rows(rows, 1, arena);
  s.metrics = take_rows(rows, metrics_, arena);
}

void OffPolicyActorCritic::take_state_actions(int rows, Arena& arena, Scratch& s) const {
  const int stride = critic_.network().spec().input_stride();
  s.state_actions = CriticRows::take(rows, stride, code_, arena);
  s.d_state_actions = take_rows(rows, stride, arena);
}

void OffPolicyActorCritic::initialize(const Stream& stream) {
  actor_.initialize(stream, seed_);
  critic_.initialize(stream, seed_);
}

void OffPolicyActorCritic::refresh(const Stream& stream) {
  actor_.refresh(stream);
  critic_.network().refresh(stream);
}

void OffPolicyActorCritic::infer(const Stream& stream, const ActRequest& request, const Scratch& s) const {
  if (request.mode == ActMode::kRandom) return;
  const int rows = request.end - request.begin;
  prepare_inputs(stream, actor_.spec(), identity_, request.obs, request.begin, rows, s.states);
  actor_.network().forward(stream, actor_.parameters(), s.states.input(), rows, false, s.actor_workspace, s.policy);
}

UniformSampler OffPolicyActorCritic::sampler(const TrajectoryRing& ring, std::uint64_t update) const {
  return {ring.view(), sample_window(ring), {seed_, update, Purpose::kReplaySample}, n_step_};
}

void OffPolicyActorCritic::sample_tile(const Stream& stream, const UniformSampler& sampler, const Tile& tile,
                                       const float* alpha) const {
  const Transitions batch = batch_.from(tile.begin);
  sample_transitions(stream, sampler, gamma_, tile.begin, tile.rows, batch);
  if (alpha == nullptr || n_step_ == 1) return;
  add_entropies(stream, sampler.ring, n_step_, gamma_, {.learned = alpha}, tile.rows, batch);
}

void OffPolicyActorCritic::regress_critics(const Stream& stream, const RingView& ring, const Tile& tile,
                                           const Scratch& s) {
  const TrainableNetwork& critic = critic_.network();
  const Transitions batch = batch_.from(tile.begin);
  const NetworkInput input{s.state_actions.features, nullptr};
  gather_state_actions(stream, ring, batch.indices, tile.rows, s.state_actions);
  critic.network().forward(stream, critic.parameters(), input, tile.rows, true, s.critic_workspace, s.q);
  critic_tile_loss(stream, {critic_.outputs(s.q), batch.rewards, batch.discounts, s.bootstrap, tile.rows, row_weight(),
                            s.d_q, s.metrics});
  backward_critics(stream, input, tile, s);
}

void OffPolicyActorCritic::backward_critics(const Stream& stream, NetworkInput input, const Tile& tile,
                                            const Scratch& s) {
  const TrainableNetwork& critic = critic_.network();
  critic.network().backward(stream, critic.parameters(), critic.prepared(), input, tile.rows, s.d_q, s.critic_workspace,
                            critic.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, CriticRowMetrics::kSize, group_metrics(tile.group));
}

void OffPolicyActorCritic::backward_policy(const Stream& stream, const Tile& tile, const Scratch& s) {
  actor_.network().backward(stream, actor_.parameters(), actor_.prepared(), s.states.input(), tile.rows, s.d_policy,
                            s.actor_workspace, actor_.gradients(tile.group), nullptr);
  add_row_metrics(stream, s.metrics, tile.rows, metrics_ - CriticRowMetrics::kSize, group_policy_metrics(tile.group));
}

void OffPolicyActorCritic::add_metrics(const Stream& stream) const {
  add_group_metrics(stream, group_metrics_.data, groups_, metrics_, metric_totals_.data);
}

void OffPolicyActorCritic::request_metrics(const Stream& stream) {
  readback_.request(stream, metric_totals_, critic_.network().state_block());
  actor_state_.request(stream, actor_.state_block());
}

OffPolicyMetrics OffPolicyActorCritic::take_sums(const Stream& stream) const {
  const std::span<const double> sums = readback_.sums(stream);
  const LearnerState critic = readback_.state(stream), actor = actor_state_.wait(stream)[0];
  const double count = std::max(1.0, sums[CriticRowMetrics::kCount]);
  return {sums[CriticRowMetrics::kLoss] / count,
          sums[CriticRowMetrics::kQ] / count,
          sums[CriticRowMetrics::kAbsoluteError] / count,
          sums[CriticRowMetrics::kTarget] / count,
          count,
          critic.gradient_norm,
          actor.gradient_norm,
          critic.step,
          actor.step,
          critic.failed != 0 || actor.failed != 0,
          {sums.begin() + CriticRowMetrics::kSize, sums.end()}};
}

}  // namespace stampede
