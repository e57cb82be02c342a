// SPDX-License-Identifier: Apache-2.0
#include "agents/dqn.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "agents/row_metrics.h"
#include "agents/soft_returns.h"
#include "agents/unit_dropout.h"
#include "kernels/buffer.h"
#include "kernels/device_limits.h"
#include "kernels/error.h"

namespace stampede {

namespace {

ValueHeads heads_of(const DqnConfig& config, const Space& action) {
  ValueHeads heads{action.count, config.distribution, config.support, config.dueling};
  if (config.distribution == ValueDistribution::kNone) heads.support.atoms = 1;
  return heads;
}

void check_distribution(const DqnConfig& config) {
  if (config.distribution == ValueDistribution::kNone) return;
  const Support& support = config.support;
  if (support.atoms < 2 || support.atoms > kMaxAtoms) {
    throw UsageError("atoms: a distribution has 2 to " + std::to_string(kMaxAtoms) + " of them, not " +
                     std::to_string(support.atoms));
  }
  if (config.distribution == ValueDistribution::kCategorical && !(support.v_min < support.v_max)) {
    throw UsageError("v_min: the smallest return, " + std::to_string(support.v_min) + ", must be below v_max, " +
                     std::to_string(support.v_max));
  }
}

// Rows of expected values: whole cache lines, so that tiles of different workers never share one.
int padded_actions(int actions) { return (actions + 15) / 16 * 16; }

}  // namespace

NetworkSpec Dqn::network_spec(const DqnConfig& config, const Space& observation, const Space& action) {
  const bool one_hot = observation.is_discrete();
  const ValueHeads heads = heads_of(config, action);
  const int values = heads.actions * heads.atoms();
  TowerSpec tower = config.network.tower("q", {{"q", values, 1.0f}});
  if (config.dueling) tower.heads = {{"value", heads.atoms(), 1.0f}, {"advantage", values, 1.0f}};
  return NetworkSpec(one_hot ? observation.count : observation.size, one_hot, {tower}, {},
                     config.network.initialization);
}

void Dqn::check(const DqnConfig& config, const RingShape& shape) {
  check_batch(shape, config.batch_size, config.n_step);
  check_distribution(config);
  FinalEpsilons::check(config.epsilon_ends, config.epsilon_shares);
  if (config.prioritized) PrioritizedSampler::check(config.priority);
}

Dqn::Dqn(const DqnConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
         int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      action_(action),
      shape_(shape),
      seed_(seed),
      groups_(gradient_groups(stream, *network, config.batch_size)),
      tile_rows_(tile_rows(stream, *network, config.batch_size)),
      heads_(heads_of(config, action)),
      noisy_(network->spec(), config.noisy),
      network_(std::move(network), config.optimizer, groups_, arena, noisy_.size()),
      identity_(false, shape, arena),
      target_(arena.take<float>(network_.parameter_block().size())),
      online_(noisy_.take_draw(arena)),
      target_draw_(noisy_.take_draw(arena)),
      acting_(noisy_.take_draw(arena)),
      final_epsilons_(config.epsilon_ends, config.epsilon_shares, shape.environments, arena) {
  if (noisy_.off() && config.dropout > 0.0f) {
    acting_.parameters = arena.take<float>(network_.spec().parameter_count());
  }
  if (config.prioritized) {
    const auto batch = static_cast<std::size_t>(config.batch_size);
    prioritized_.emplace(config.priority, shape, config.n_step, config.batch_size, arena);
    batch_ = {arena.take<std::int32_t>(batch), arena.take<float>(batch), arena.take<float>(batch)};
  }
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_scratch(act_rows, false, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, true, arena));
  }
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(groups_ * PriorityRowMetrics::kSize));
  metric_totals_ = arena.take<double>(PriorityRowMetrics::kSize);
  make_fused(stream, arena);
}

void Dqn::make_fused(const Stream& stream, Arena& arena) {
  const bool possible = stream.is_cuda() && noisy_.off() && !records_entropies(config_) &&
                        FusedDqn::fits(network_.spec(), heads_) &&
                        device_limits(stream.device()).holds_block(FusedDqn::block_bytes(network_.spec()));
  if (config_.fused == FusedUse::kAlways && !possible) {
    throw UsageError(
        "fused: needs device=cuda, hidden layers of 64,64 or 128,128 without layer_norm, at most 8 observations and "
        "outputs, no noisy layers, no distribution, no soft targets of several steps, and a GPU with the shared "
        "memory; "
        "leave it at auto");
  }
  if (config_.fused == FusedUse::kNever || !possible) return;
  fused_.emplace(network_, heads_, target_.data,
                 FusedDqn::Options{config_.loss, config_.double_q, config_.gamma, config_.batch_size}, metric_totals_,
                 arena);
}

Dqn::Scratch Dqn::take_scratch(int rows, bool gradient, Arena& arena) const {
  const NetworkSpec& spec = network_.spec();
  const auto n = static_cast<std::size_t>(rows);
  const std::size_t outputs = n * static_cast<std::size_t>(spec.output_stride());
  Scratch scratch;
  scratch.inputs = InputRows::take(spec, rows, arena);
  scratch.workspace = arena.take<float>(network_.network().workspace_size(rows, gradient)).data;
  scratch.outputs = arena.take<float>(outputs).data;
  scratch.q = arena.take<float>(n * static_cast<std::size_t>(padded_actions(heads_.actions))).data;
  if (!gradient) return scratch;
  scratch.next_inputs = InputRows::take(spec, rows, arena);
  scratch.transitions = Transitions::take(rows, arena);
  scratch.actions = arena.take<std::int32_t>(n).data;
  scratch.target_outputs = arena.take<float>(outputs).data;
  scratch.d_outputs = arena.take<float>(outputs).data;
  scratch.metrics = arena.take<float>(n * PriorityRowMetrics::kSize).data;
  return scratch;
}

void Dqn::initialize(const Stream& stream) {
  network_.initialize(stream, seed_);
  if (!noisy_.off()) {
    float* const sigma = network_.parameter_block().data + network_.spec().parameter_count();
    noisy_.initialize(stream, config_.noise_sigma, sigma);
  }
  polyak_update(stream, network_.parameters(), target_.data, target_.size(), 1.0f);
  final_epsilons_.initialize(stream, seed_);
  if (prioritized_) prioritized_->initialize(stream);
}

void Dqn::prepare_acting(const Stream& stream, std::uint64_t row) {
  if (!acts_with_noise()) return;
  const View<float>& parameters = acting_.parameters;
  if (noisy_.off()) {
    copy_on_device(stream, parameters.data, network_.parameters(), parameters.size() * sizeof(float));
  } else {
    noisy_.draw(stream, network_.parameters(), seed_, row, NoiseRole::kActing, acting_);
  }
  if (config_.dropout > 0.0f) {
    drop_units(stream, network_.spec(), config_.dropout, {seed_, row, Purpose::kParameterDropout}, parameters.data);
  }
}

void Dqn::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& scratch = act_scratch_[static_cast<std::size_t>(request.worker)];
  const int rows = request.end - request.begin;
  const float* const parameters = request.seed ? network_.parameters() : acting_parameters();
  const RandomKey key{request.seed.value_or(seed_), request.row, Purpose::kExploration};
  if (fused_) {
    return fused_->act(stream, {.parameters = parameters,
                                .obs = static_cast<const float*>(request.obs),
                                .records = request.records,
                                .record = shape_.record,
                                .begin = request.begin,
                                .rows = rows,
                                .key = key,
                                .exploration = request.exploration});
  }
  prepare_inputs(stream, network_.spec(), identity_, request.obs, request.begin, rows, scratch.inputs);
  network_.network().forward(stream, parameters, scratch.inputs.input(), rows, false, scratch.workspace,
                             scratch.outputs);
  const ActionValues values = values_of(stream, scratch.outputs, rows, scratch.q);
  choose_actions(stream, {values.q, values.stride, heads_.actions, request.records, shape_.record, request.begin, rows},
                 key, request.exploration);
  if (request.entropies == nullptr) return;
  measure_entropies(stream, values.q, values.stride, heads_.actions, request.temperature, request.begin, rows,
                    request.entropies);
}

// Expected values: the outputs themselves, or what a distribution or dueling heads make of them.
Dqn::ActionValues Dqn::values_of(const Stream& stream, const float* outputs, int rows, float* q) const {
  const int stride = network_.spec().output_stride();
  if (heads_.distribution == ValueDistribution::kNone && !heads_.dueling) return {outputs, stride};
  action_values(stream, heads_, outputs, stride, rows, q, padded_actions(heads_.actions));
  return {q, padded_actions(heads_.actions)};
}

// Online and target noise are new in every update (Fortunato et al. 2018, section 3.1).
void Dqn::draw_noise(const Stream& stream, std::uint64_t update) {
  if (noisy_.off()) return;
  noisy_.draw(stream, network_.parameters(), seed_, update, NoiseRole::kOnline, online_);
  noisy_.draw(stream, target_.data, seed_, update, NoiseRole::kTarget, target_draw_);
  network_.refresh(stream, online());
}

void Dqn::store(const Stream& stream, const TrajectoryRing& ring) {
  if (prioritized_) prioritized_->advance(stream, ring);
}

void Dqn::learn(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request) {
  draw_noise(stream, request.update);
  if (prioritized_) {
    prioritized_->sample(stream, {seed_, request.update, Purpose::kReplaySample}, request.beta, config_.batch_size,
                         batch_.indices.data, batch_.importance.data);
  }
  if (fused_) return update_fused(stream, ring, request);
  update_stepwise(stream, ring, request);
  if (request.moves_target) update_target(stream);
}

void Dqn::update_stepwise(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request) {
  for_each_group(stream, config_.batch_size, groups_,
                 [&](int group, int begin, int end, int worker, const Stream& serial) {
                   network_.clear_gradients(serial, group);
                   const Scratch& scratch = learn_scratch_[static_cast<std::size_t>(worker)];
                   for (int tile = begin; tile < end; tile += tile_rows_) {
                     accumulate_tile(serial, ring, request, tile, std::min(tile_rows_, end - tile), group, scratch);
                   }
                   if (!noisy_.off()) noisy_.fill_sigma_gradient(serial, online_, network_.gradients(group));
                 });
  if (prioritized_) prioritized_->update(stream, batch_.indices.data, batch_.priorities.data, config_.batch_size);
  add_group_metrics(stream, group_metrics_.data, groups_, PriorityRowMetrics::kSize, metric_totals_.data);
  network_.step(stream, groups_, request.learning_rate);
  if (noisy_.off()) network_.refresh(stream);
}

void Dqn::update_fused(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request) {
  const UniformSampler sampler{
      ring.view(), sample_window(ring), {seed_, request.update, Purpose::kReplaySample}, config_.n_step};
  fused_->update(stream,
                 {.sampler = sampler,
                  .indices = batch_.indices.data,
                  .importance = batch_.importance.data,
                  .priorities = batch_.priorities.data,
                  .temperature = config_.soft ? request.temperature : 0.0f,
                  .target_tau = request.moves_target ? config_.target_tau : 0.0f},
                 request.learning_rate);
  if (prioritized_) prioritized_->update(stream, batch_.indices.data, batch_.priorities.data, config_.batch_size);
}

Transitions Dqn::sample_tile(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, int begin,
                             int rows, const Scratch& scratch) const {
  Transitions transitions = scratch.transitions;
  if (prioritized_) {
    transitions.indices = batch_.indices.data + begin;
    fold_transitions(stream, ring.view(), config_.n_step, config_.gamma, rows, transitions);
    return transitions;
  }
  const UniformSampler sampler{
      ring.view(), sample_window(ring), {seed_, update, Purpose::kReplaySample}, config_.n_step};
  sample_transitions(stream, sampler, config_.gamma, begin, rows, transitions);
  return transitions;
}

// Values at s' that choose the next action: the target network's, with Double DQN the online one's. Leaves the target's
// outputs at s' in the scratch.
Dqn::ActionValues Dqn::choosing_values(const Stream& stream, int rows, const Scratch& scratch) const {
  const Network& network = network_.network();
  network.forward(stream, target(), scratch.next_inputs.input(), rows, false, scratch.workspace,
                  scratch.target_outputs);
  if (!config_.double_q) return values_of(stream, scratch.target_outputs, rows, scratch.q);
  network.forward(stream, online(), scratch.next_inputs.input(), rows, false, scratch.workspace, scratch.outputs);
  // A copy, because the outputs at s will take this place.
  action_values(stream, heads_, scratch.outputs, network_.spec().output_stride(), rows, scratch.q,
                padded_actions(heads_.actions));
  return {scratch.q, padded_actions(heads_.actions)};
}

void Dqn::accumulate_tile(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request, int begin,
                          int rows, int group, const Scratch& scratch) {
  const Network& network = network_.network();
  const NetworkSpec& spec = network_.spec();
  const Transitions transitions = sample_tile(stream, ring, request.update, begin, rows, scratch);
  if (records_entropies(config_)) {
    add_entropies(stream, ring.view(), config_.n_step, config_.gamma, {request.temperature}, rows, transitions);
  }
  gather_actions(stream, ring.view(), transitions.indices, rows, scratch.actions);
  gather_inputs(stream, spec, identity_, ring.view(), transitions.next_indices, rows, scratch.next_inputs);
  const ActionValues next = choosing_values(stream, rows, scratch);
  gather_inputs(stream, spec, identity_, ring.view(), transitions.indices, rows, scratch.inputs);
  network.forward(stream, online(), scratch.inputs.input(), rows, true, scratch.workspace, scratch.outputs);
  const DqnLoss loss{heads_, config_.loss, config_.kappa, config_.soft ? request.temperature : 0.0f,
                     1.0f / static_cast<float>(config_.batch_size)};
  dqn_tile_loss(stream, loss,
                {.actions = scratch.actions,
                 .rewards = transitions.rewards,
                 .discounts = transitions.discounts,
                 .outputs = scratch.outputs,
                 .target_outputs = scratch.target_outputs,
                 .output_stride = spec.output_stride(),
                 .rows = rows,
                 .next_q = next.q,
                 .next_stride = next.stride,
                 .importance = prioritized_ ? batch_.importance.data + begin : nullptr,
                 .d_outputs = scratch.d_outputs,
                 .metrics = scratch.metrics,
                 .priorities = prioritized_ ? batch_.priorities.data + begin : nullptr});
  network.backward(stream, online(), network_.prepared(), scratch.inputs.input(), rows, scratch.d_outputs,
                   scratch.workspace, network_.gradients(group), nullptr);
  add_row_metrics(stream, scratch.metrics, rows, prioritized_ ? PriorityRowMetrics::kSize : DqnRowMetrics::kSize,
                  group_metrics_.data + group * PriorityRowMetrics::kSize);
}

void Dqn::update_target(const Stream& stream) {
  polyak_update(stream, network_.parameters(), target_.data, target_.size(), config_.target_tau);
}

void Dqn::request_metrics(const Stream& stream) {
  readback_.request(stream, metric_totals_, network_.state_block());
  if (prioritized_) largest_priority_.request(stream, prioritized_->maximum());
}

DqnMetrics Dqn::take_metrics(const Stream& stream) const {
  const std::span<const double> sums = readback_.sums(stream);
  const LearnerState state = readback_.state(stream);
  const float largest = prioritized_ ? largest_priority_.wait(stream)[0] : 0.0f;
  const double count = std::max(1.0, sums[DqnRowMetrics::kCount]);
  const auto mean = [&](int metric) { return sums[static_cast<std::size_t>(metric)] / count; };
  const double importance = mean(PriorityRowMetrics::kImportance);
  const double variance = mean(PriorityRowMetrics::kImportanceSquared) - importance * importance;
  return {mean(DqnRowMetrics::kLoss),
          mean(DqnRowMetrics::kQ),
          mean(DqnRowMetrics::kAbsoluteError),
          mean(DqnRowMetrics::kTarget),
          static_cast<double>(state.gradient_norm),
          importance,
          std::sqrt(std::max(0.0, variance)),
          mean(PriorityRowMetrics::kPriority),
          static_cast<double>(largest),
          state.step,
          state.failed != 0};
}

}  // namespace stampede
