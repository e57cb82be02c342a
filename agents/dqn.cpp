// SPDX-License-Identifier: Apache-2.0
#include "agents/dqn.h"

#include <algorithm>
#include <string>

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/error.h"

namespace stampede {

NetworkSpec Dqn::network_spec(const DqnConfig& config, const Space& observation, const Space& action) {
  const bool one_hot = observation.is_discrete();
  return NetworkSpec(one_hot ? observation.count : observation.size, one_hot,
                     {config.network.tower("q", {{"q", action.count, 1.0f}})}, {}, config.network.initialization);
}

void Dqn::check(const DqnConfig& config, const RingShape& shape) {
  const std::int64_t capacity = static_cast<std::int64_t>(shape.rows) * shape.environments;
  if (config.batch_size < 1 || config.batch_size > capacity) {
    throw UsageError("batch_size: a batch of " + std::to_string(config.batch_size) + " is larger than the ring of " +
                     std::to_string(capacity) + " transitions");
  }
  check_n_step(shape, config.n_step);
}

Dqn::Dqn(const DqnConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
         int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      action_(action),
      shape_(shape),
      seed_(seed),
      groups_(gradient_groups(stream, *network, config.batch_size)),
      tile_rows_(tile_rows(stream, *network, config.batch_size)),
      network_(std::move(network), config.optimizer, groups_, arena),
      identity_(false, shape, arena),
      target_(arena.take<float>(network_.spec().parameter_count())) {
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_scratch(act_rows, false, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, true, arena));
  }
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(groups_ * DqnRowMetrics::kSize));
  metric_totals_ = arena.take<double>(DqnRowMetrics::kSize);
}

Dqn::Scratch Dqn::take_scratch(int rows, bool gradient, Arena& arena) const {
  const NetworkSpec& spec = network_.spec();
  const auto n = static_cast<std::size_t>(rows);
  const std::size_t outputs = n * static_cast<std::size_t>(spec.output_stride());
  Scratch scratch;
  scratch.inputs = InputRows::take(spec, rows, arena);
  scratch.workspace = arena.take<float>(network_.network().workspace_size(rows, gradient)).data;
  scratch.outputs = arena.take<float>(outputs).data;
  if (!gradient) return scratch;
  scratch.next_inputs = InputRows::take(spec, rows, arena);
  scratch.transitions = {arena.take<std::int32_t>(n).data, arena.take<std::int32_t>(n).data,
                         arena.take<std::int32_t>(n).data, arena.take<float>(n).data, arena.take<float>(n).data};
  scratch.target_outputs = arena.take<float>(outputs).data;
  scratch.d_outputs = arena.take<float>(outputs).data;
  scratch.metrics = arena.take<float>(n * DqnRowMetrics::kSize).data;
  return scratch;
}

void Dqn::initialize(const Stream& stream) {
  network_.initialize(stream, seed_);
  polyak_update(stream, network_.parameters(), target_.data, target_.size(), 1.0f);
}

void Dqn::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& scratch = act_scratch_[static_cast<std::size_t>(request.worker)];
  const int rows = request.end - request.begin;
  prepare_inputs(stream, network_.spec(), identity_, request.obs, request.begin, rows, scratch.inputs);
  network_.network().forward(stream, network_.parameters(), scratch.inputs.input(), rows, false, scratch.workspace,
                             scratch.outputs);
  choose_epsilon_greedy(stream,
                        {scratch.outputs, network_.spec().output_stride(), action_.count, request.records,
                         shape_.record, request.begin, rows},
                        {request.seed.value_or(seed_), request.row, Purpose::kExploration}, request.epsilon);
}

void Dqn::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float learning_rate) {
  const UniformSampler sampler{
      ring.view(), sample_window(ring), {seed_, update, Purpose::kReplaySample}, config_.n_step};
  for_each_group(stream, config_.batch_size, groups_,
                 [&](int group, int begin, int end, int worker, const Stream& serial) {
                   network_.clear_gradients(serial, group);
                   const Scratch& scratch = learn_scratch_[static_cast<std::size_t>(worker)];
                   for (int tile = begin; tile < end; tile += tile_rows_) {
                     accumulate_tile(serial, sampler, tile, std::min(tile_rows_, end - tile), group, scratch);
                   }
                 });
  add_group_metrics(stream, group_metrics_.data, groups_, DqnRowMetrics::kSize, metric_totals_.data);
  network_.update(stream, groups_, learning_rate);
}

void Dqn::accumulate_tile(const Stream& stream, const UniformSampler& sampler, int begin, int rows, int group,
                          const Scratch& scratch) {
  const Network& network = network_.network();
  const NetworkSpec& spec = network_.spec();
  sample_transitions(stream, sampler, config_.gamma, begin, rows, scratch.transitions);
  gather_inputs(stream, spec, identity_, sampler.ring, scratch.transitions.next_indices, rows, scratch.next_inputs);
  network.forward(stream, target_.data, scratch.next_inputs.input(), rows, false, scratch.workspace,
                  scratch.target_outputs);
  gather_inputs(stream, spec, identity_, sampler.ring, scratch.transitions.indices, rows, scratch.inputs);
  network.forward(stream, network_.parameters(), scratch.inputs.input(), rows, true, scratch.workspace,
                  scratch.outputs);
  dqn_tile_loss(stream, config_.loss, 1.0f / static_cast<float>(config_.batch_size),
                {scratch.transitions, scratch.outputs, scratch.target_outputs, spec.output_stride(), action_.count,
                 rows, scratch.d_outputs, scratch.metrics});
  network.backward(stream, network_.parameters(), network_.prepared(), scratch.inputs.input(), rows, scratch.d_outputs,
                   scratch.workspace, network_.gradients(group), nullptr);
  add_row_metrics(stream, scratch.metrics, rows, DqnRowMetrics::kSize,
                  group_metrics_.data + group * DqnRowMetrics::kSize);
}

void Dqn::update_target(const Stream& stream) {
  polyak_update(stream, network_.parameters(), target_.data, target_.size(), config_.target_tau);
}

DqnMetrics Dqn::read_metrics(const Stream& stream) {
  const std::vector<double> sums = to_host(stream, metric_totals_);
  LearnerState state;
  copy_to_host(stream, &state, network_.state(), sizeof state);
  const double count = std::max(1.0, sums[DqnRowMetrics::kCount]);
  fill_zero(stream, metric_totals_.data, metric_totals_.size() * sizeof(double));
  return {sums[DqnRowMetrics::kLoss] / count,
          sums[DqnRowMetrics::kQ] / count,
          sums[DqnRowMetrics::kAbsoluteError] / count,
          sums[DqnRowMetrics::kTarget] / count,
          state.gradient_norm,
          state.step,
          state.failed != 0};
}

}  // namespace stampede
