// SPDX-License-Identifier: Apache-2.0
#include "agents/trpo.h"

#include <algorithm>
#include <utility>

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {
namespace {

int ring_rows(const RingShape& shape) { return shape.rows * shape.environments; }

// Where a tower's parameters lie in the block of all.
std::size_t tower_offset(const NetworkSpec& all, const char* head) {
  const int tower = all.layers()[static_cast<std::size_t>(all.head(head).layer)].tower;
  for (const LayerLayout& layer : all.layers()) {
    if (layer.tower == tower) return layer.weight;
  }
  return 0;
}

NetworkSpec with_input_of(const NetworkSpec& all, std::vector<TowerSpec> towers, std::vector<VectorSpec> vectors) {
  return {all.input_size(), all.one_hot(), std::move(towers), std::move(vectors)};
}

}  // namespace

void Trpo::check(const TrpoConfig& config, std::int64_t rollout_rows) {
  TrustRegion::check(config.trust_region);
  if (config.actor_critic.shared_torso) {
    throw UsageError("shared_torso: trpo fits its critic by itself and needs separate towers");
  }
  if (config.actor_critic.continuous != ContinuousPolicy::kGaussian) {
    throw UsageError("distribution: trpo knows the Fisher matrix of gaussian alone");
  }
  check_minibatches("critic_minibatches", config.critic_minibatches, rollout_rows);
  if (config.critic_epochs < 1) throw UsageError("critic_epochs: needs at least 1");
}

NetworkSpec Trpo::policy_spec(const TrpoConfig& config, const Space& observation, const Space& action) {
  const NetworkSpec all = ActorCritic::network_spec(config.actor_critic, observation, action);
  std::vector<VectorSpec> vectors;
  if (!action.is_discrete()) vectors = {{"log_sigma", action.size}};
  return with_input_of(all, {config.actor_critic.network.tower("actor", {{"policy", all.head("policy").size}})},
                       std::move(vectors));
}

NetworkSpec Trpo::critic_spec(const TrpoConfig& config, const Space& observation) {
  const bool one_hot = observation.is_discrete();
  return {one_hot ? observation.count : observation.size,
          one_hot,
          {config.actor_critic.network.tower("critic", {{"value", 1}})}};
}

Trpo::Trpo(const TrpoConfig& config, const Space& action, Networks networks, const RingShape& shape, int workers,
           int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      seed_(seed),
      rows_(ring_rows(shape)),
      critic_rows_(largest_minibatch(rows_, config.critic_minibatches)),
      agent_(config.actor_critic, action, std::move(networks.both), {shape, workers, act_rows, 1}, seed, stream, arena),
      region_(config.trust_region, action, std::move(networks.policy), rows_, stream, arena),
      critic_(networks.critic, config.actor_critic.optimizer, gradient_groups(stream, *networks.critic, critic_rows_),
              agent_.network(), tower_offset(agent_.network().spec(), "value"), arena),
      critic_tile_rows_(tile_rows(stream, *networks.critic, critic_rows_)),
      rollout_(RolloutBatch::take_fields(action, rows_, arena)),
      batch_(RolloutBatch::take(shape, action, critic_rows_, arena)),
      moment_parts_(arena.take<MomentPart>(kMomentParts)),
      moments_(arena.take<MinibatchMoments>(1)) {
  const Network& critic = critic_.network();
  const auto n = static_cast<std::size_t>(critic_tile_rows_);
  const std::size_t outputs = n * static_cast<std::size_t>(critic.spec().output_stride());
  for (int w = 0; w < stream.threads(); ++w) {
    critic_scratch_.push_back({InputRows::take(critic.spec(), critic_tile_rows_, arena),
                               arena.take<float>(critic.workspace_size(critic_tile_rows_, true)).data,
                               arena.take<float>(outputs).data, arena.take<float>(outputs).data,
                               arena.take<float>(n * TrpoCriticMetrics::kSize).data});
  }
  critic_groups_ = arena.take<double>(kMaxGradientGroups * TrpoCriticMetrics::kSize);
  critic_totals_ = arena.take<double>(TrpoCriticMetrics::kSize);
}

void Trpo::learn(const Stream& stream, const TrajectoryRing& ring, const TrpoSchedule& schedule) {
  const RingView& view = ring.view();
  agent_.begin_update(stream, view, config_.gamma);
  compute_gae(stream, view, config_.gamma, config_.lambda, agent_.reward_scaler().scale());
  improve_policy(stream, view, schedule);
  fit_critic(stream, view, schedule);
  agent_.end_update(stream, view);
}

void Trpo::improve_policy(const Stream& stream, const RingView& ring, const TrpoSchedule& schedule) {
  copy_rollout(stream, ring, agent_.action(), rollout_);
  measure_minibatch(stream, rollout_, rows_, config_.scaling, moment_parts_.data, moments_.data);
  copy_policy(stream, true);
  region_.begin(stream, agent_.observation_normalizer(), ring.obs, rollout_, moments_.data, schedule.entropy_weight);
  region_.improve(stream, schedule.max_kl, agent_.network().state());
  copy_policy(stream, false);
}

// The actor's tower and log sigma lie apart in the block of all parameters and side by side in the region's.
void Trpo::copy_policy(const Stream& stream, bool into_region) const {
  const NetworkSpec& all = agent_.network().spec();
  const NetworkSpec& policy = region_.policy().spec();
  const bool continuous = !agent_.action().is_discrete();
  const std::size_t tower = continuous ? policy.vector_offset("log_sigma") : policy.parameter_count();
  const auto copy = [&](std::size_t from_all, std::size_t from_policy, std::size_t count) {
    float* const a = agent_.network().parameter_block().data + from_all;
    float* const b = region_.parameters().data + from_policy;
    copy_on_device(stream, into_region ? b : a, into_region ? a : b, count * sizeof(float));
  };
  copy(tower_offset(all, "policy"), 0, tower);
  if (continuous) copy(all.vector_offset("log_sigma"), tower, policy.parameter_count() - tower);
}

void Trpo::fit_critic(const Stream& stream, const RingView& ring, const TrpoSchedule& schedule) {
  critic_.refresh(stream);
  for (int epoch = 0; epoch < config_.critic_epochs; ++epoch) {
    const std::uint64_t pass =
        schedule.iteration * static_cast<std::uint64_t>(config_.critic_epochs) + static_cast<std::uint64_t>(epoch);
    const Permutation order({seed_, pass, Purpose::kPermutation}, static_cast<std::uint32_t>(rows_));
    for (int m = 0; m < config_.critic_minibatches; ++m) {
      update_critic(stream, ring, cut_minibatch(order, rows_, m, config_.critic_minibatches), schedule.learning_rate);
    }
  }
}

void Trpo::update_critic(const Stream& stream, const RingView& ring, const Minibatch& minibatch, float learning_rate) {
  const int rows = minibatch.size;
  gather_minibatch(stream, ring, agent_.action(), minibatch, batch_);
  measure_minibatch(stream, batch_, rows, AdvantageScaling::kNone, moment_parts_.data, moments_.data);
  const int groups = gradient_groups(stream, critic_.network(), rows);
  for_each_group(stream, rows, groups, [&](int group, int begin, int end, int worker, const Stream& serial) {
    critic_.clear_gradients(serial, group);
    const Scratch& scratch = critic_scratch_[static_cast<std::size_t>(worker)];
    for (int first = begin; first < end; first += critic_tile_rows_) {
      accumulate_critic_tile(serial, first, std::min(critic_tile_rows_, end - first), group, scratch);
    }
  });
  add_group_metrics(stream, critic_groups_.data, groups, TrpoCriticMetrics::kSize, critic_totals_.data);
  critic_.update(stream, groups, learning_rate);
}

void Trpo::accumulate_critic_tile(const Stream& stream, int begin, int rows, int group, const Scratch& scratch) {
  const Network& network = critic_.network();
  const NetworkInput input = scratch.inputs.input();
  prepare_inputs(stream, critic_.spec(), agent_.observation_normalizer(), batch_.obs, begin, rows, scratch.inputs);
  network.forward(stream, critic_.parameters(), input, rows, true, scratch.workspace, scratch.outputs);
  critic_tile_loss(stream, batch_, moments_.data, config_.value_weight,
                   {scratch.outputs, scratch.d_outputs, scratch.metrics, critic_.spec().output_stride(), begin, rows});
  network.backward(stream, critic_.parameters(), critic_.prepared(), input, rows, scratch.d_outputs, scratch.workspace,
                   critic_.gradients(group), nullptr);
  add_row_metrics(stream, scratch.metrics, rows, TrpoCriticMetrics::kSize,
                  critic_groups_.data + group * TrpoCriticMetrics::kSize);
}

void Trpo::request_metrics(const Stream& stream) {
  readback_.request(stream, critic_totals_, agent_.network().state_block());
  region_readback_.request(stream, region_.totals());
  fill_zero(stream, region_.totals().data, sizeof(TrustRegionTotals));
}

TrpoMetrics Trpo::take_metrics(const Stream& stream) const {
  const TrustRegionTotals t = region_readback_.wait(stream)[0];
  const std::span<const double> critic = readback_.sums(stream);
  const LearnerState learner = readback_.state(stream);
  const double updates = std::max(1.0, t.updates), rows = std::max(1.0, t.rows);
  const auto variance = [&](double sum, double squares) { return squares / rows - (sum / rows) * (sum / rows); };
  const double spread = variance(t.target, t.target_squared), error = variance(t.error, t.error_squared);
  return {.surrogate_before = t.surrogate_before / updates,
          .surrogate_after = t.surrogate_after / updates,
          .kl = t.kl / updates,
          .clip_fraction = t.clip_fraction / updates,
          .step_fraction = t.step_fraction / updates,
          .line_search_failures = t.failures / updates,
          .cg_residual = t.residual / updates,
          .entropy = t.entropy / rows,
          .explained_variance = spread > 0.0 ? 1.0 - error / spread : 0.0,
          .value_loss = critic[TrpoCriticMetrics::kLoss] / std::max(1.0, critic[TrpoCriticMetrics::kCount]),
          .gradient_norm = t.gradient_norm / updates,
          .critic_gradient_norm = static_cast<double>(learner.gradient_norm),
          .failed = learner.failed != 0};
}

}  // namespace stampede
