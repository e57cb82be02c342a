// SPDX-License-Identifier: Apache-2.0
#include "agents/pqn.h"

#include <algorithm>

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/reduce.h"

namespace stampede {
namespace {

// Of the largest one.
int minibatch_rows(const PqnConfig& config, const RingShape& shape) {
  return largest_minibatch(static_cast<std::int64_t>(shape.rows) * shape.environments, config.minibatches);
}

}  // namespace

NetworkSpec Pqn::network_spec(const PqnConfig& config, const Space& observation, const Space& action) {
  const bool one_hot = observation.is_discrete();
  return NetworkSpec(one_hot ? observation.count : observation.size, one_hot,
                     {config.network.tower("q", {{"q", action.count, 1.0f}})}, {}, config.network.initialization);
}

void Pqn::check(const PqnConfig& config, std::int64_t rollout_rows) {
  check_minibatches("minibatches", config.minibatches, rollout_rows);
  if (config.epochs < 1) throw UsageError("epochs: needs at least 1");
  FinalEpsilons::check(config.epsilon_ends, config.epsilon_shares);
}

Pqn::Pqn(const PqnConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
         int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      action_(action),
      shape_(shape),
      seed_(seed),
      max_groups_(gradient_groups(stream, *network, minibatch_rows(config, shape))),
      tile_rows_(tile_rows(stream, *network, minibatch_rows(config, shape))),
      network_(std::move(network), config.optimizer, max_groups_, arena),
      identity_(false, shape, arena),
      final_epsilons_(config.epsilon_ends, config.epsilon_shares, shape.environments, arena) {
  if (config.target_interval > 0) target_ = arena.take<float>(network_.spec().parameter_count());
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_scratch(act_rows, false, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, true, arena));
  }
  const int rows = minibatch_rows(config, shape);
  batch_ = QBatch::take(shape, rows, arena);
  valid_rows_ = arena.take<std::int32_t>(1);
  count_scratch_ = arena.take<std::int32_t>(reduce_scratch_size(static_cast<std::size_t>(rows)));
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(max_groups_ * DqnRowMetrics::kSize));
  metric_totals_ = arena.take<double>(DqnRowMetrics::kSize);
}

Pqn::Scratch Pqn::take_scratch(int rows, bool gradient, Arena& arena) const {
  const NetworkSpec& spec = network_.spec();
  const auto n = static_cast<std::size_t>(rows);
  const std::size_t outputs = n * static_cast<std::size_t>(spec.output_stride());
  Scratch scratch;
  scratch.inputs = InputRows::take(spec, rows, arena);
  scratch.workspace = arena.take<float>(network_.network().workspace_size(rows, gradient)).data;
  scratch.outputs = arena.take<float>(outputs).data;
  if (!gradient) {
    scratch.target_outputs = config_.target_interval > 0 ? arena.take<float>(outputs).data : scratch.outputs;
    return scratch;
  }
  scratch.d_outputs = arena.take<float>(outputs).data;
  scratch.metrics = arena.take<float>(n * DqnRowMetrics::kSize).data;
  return scratch;
}

void Pqn::initialize(const Stream& stream) {
  network_.initialize(stream, seed_);
  final_epsilons_.initialize(stream, seed_);
  if (config_.target_interval > 0) polyak_update(stream, network_.parameters(), target_.data, target_.size(), 1.0f);
}

void Pqn::act(const Stream& stream, const ActRequest& request) const {
  const Network& network = network_.network();
  const Scratch& scratch = act_scratch_[static_cast<std::size_t>(request.worker)];
  const int rows = request.end - request.begin;
  prepare_inputs(stream, network_.spec(), identity_, request.obs, request.begin, rows, scratch.inputs);
  network.forward(stream, network_.parameters(), scratch.inputs.input(), rows, false, scratch.workspace,
                  scratch.outputs);
  if (request.extra && config_.target_interval > 0) {
    network.forward(stream, target_.data, scratch.inputs.input(), rows, false, scratch.workspace,
                    scratch.target_outputs);
  }
  choose_with_bootstrap(stream,
                        {scratch.outputs, scratch.target_outputs, network_.spec().output_stride(), action_.count,
                         request.records, request.extra, shape_.record, request.begin, rows},
                        config_.bootstrap, request.epsilon,
                        {request.seed.value_or(seed_), request.row, Purpose::kExploration});
}

void Pqn::learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float learning_rate) {
  const RingView& view = ring.view();
  compute_q_lambda(stream, view, config_.gamma, config_.lambda);
  const std::int64_t rows = static_cast<std::int64_t>(shape_.rows) * shape_.environments;
  for (int epoch = 0; epoch < config_.epochs; ++epoch) {
    const Permutation permutation({seed_, update, Purpose::kPermutation}, static_cast<std::uint32_t>(rows));
    for (int m = 0; m < config_.minibatches; ++m) {
      update_minibatch(stream, view, cut_minibatch(permutation, rows, m, config_.minibatches), learning_rate);
      update_target(stream, ++update);
    }
  }
}

void Pqn::update_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch,
                           float learning_rate) {
  gather_q_minibatch(stream, ring, minibatch, batch_);
  reduce_count(stream, batch_.flags, kValid, static_cast<std::size_t>(minibatch.size), count_scratch_.data,
               valid_rows_.data);
  const int groups = gradient_groups(stream, network_.network(), minibatch.size);
  for_each_group(stream, minibatch.size, groups, [&](int group, int begin, int end, int worker, const Stream& serial) {
    network_.clear_gradients(serial, group);
    const Scratch& scratch = learn_scratch_[static_cast<std::size_t>(worker)];
    for (int tile = begin; tile < end; tile += tile_rows_) {
      accumulate_tile(serial, tile, std::min(tile_rows_, end - tile), group, scratch);
    }
  });
  add_group_metrics(stream, group_metrics_.data, groups, DqnRowMetrics::kSize, metric_totals_.data);
  network_.update(stream, groups, learning_rate);
}

void Pqn::accumulate_tile(const Stream& stream, int begin, int rows, int group, const Scratch& scratch) {
  const Network& network = network_.network();
  prepare_inputs(stream, network_.spec(), identity_, batch_.obs, begin, rows, scratch.inputs);
  network.forward(stream, network_.parameters(), scratch.inputs.input(), rows, true, scratch.workspace,
                  scratch.outputs);
  q_tile_loss(stream, config_.loss, batch_,
              {scratch.outputs, network_.spec().output_stride(), valid_rows_.data, scratch.d_outputs, scratch.metrics,
               begin, rows});
  network.backward(stream, network_.parameters(), network_.prepared(), scratch.inputs.input(), rows, scratch.d_outputs,
                   scratch.workspace, network_.gradients(group), nullptr);
  add_row_metrics(stream, scratch.metrics, rows, DqnRowMetrics::kSize,
                  group_metrics_.data + group * DqnRowMetrics::kSize);
}

void Pqn::update_target(const Stream& stream, std::uint64_t updates) {
  if (config_.target_interval == 0 || updates % static_cast<std::uint64_t>(config_.target_interval) != 0) return;
  polyak_update(stream, network_.parameters(), target_.data, target_.size(), config_.target_tau);
}

void Pqn::request_metrics(const Stream& stream) { readback_.request(stream, metric_totals_, network_.state_block()); }

PqnMetrics Pqn::take_metrics(const Stream& stream) const {
  const std::span<const double> sums = readback_.sums(stream);
  const LearnerState state = readback_.state(stream);
  const double count = std::max(1.0, sums[DqnRowMetrics::kCount]);
  return {sums[DqnRowMetrics::kLoss] / count,
          sums[DqnRowMetrics::kQ] / count,
          sums[DqnRowMetrics::kAbsoluteError] / count,
          sums[DqnRowMetrics::kTarget] / count,
          state.gradient_norm,
          state.step,
          state.failed != 0};
}

}  // namespace stampede
