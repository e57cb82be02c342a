// SPDX-License-Identifier: Apache-2.0
#include "agents/async_q.h"

#include <algorithm>

#include "agents/dqn.h"
#include "agents/row_metrics.h"
#include "agents/trainable_network.h"
#include "replay/returns.h"

namespace stampede {
NetworkSpec AsyncQ::network_spec(const AsyncQConfig& config, const Space& observation, const Space& action) {
  DqnConfig dqn;
  dqn.network = config.network;
  return Dqn::network_spec(dqn, observation, action);
}

AsyncQ::AsyncQ(const AsyncQConfig& config, const Space& action, std::shared_ptr<const Network> network,
               const RingShape& shape, int evaluation_workers, int evaluation_rows, std::uint64_t seed,
               const Stream& stream, Arena& arena, std::span<Arena> worker_arenas)
    : config_(config),
      action_(action),
      shape_(shape),
      seed_(seed),
      network_(std::move(network)),
      groups_(gradient_groups(stream, *network_, shape.rows * shape.environments)),
      tile_rows_(tile_rows(stream, *network_, shape.rows * shape.environments)),
      shared_(network_->spec(), config.optimizer, arena),
      identity_(false, shape, arena),
      target_(arena.take<float>(shared_.spec().parameter_count())) {
  for (std::size_t w = 0; w < worker_arenas.size(); ++w) {
    workers_.push_back(make_worker(static_cast<int>(w), worker_arenas[w]));
  }
  const auto outputs = static_cast<std::size_t>(evaluation_rows * shared_.spec().output_stride());
  for (int w = 0; w < evaluation_workers; ++w) {
    evaluation_scratch_.push_back({InputRows::take(shared_.spec(), evaluation_rows, arena),
                                   arena.take<float>(network_->workspace_size(evaluation_rows, false)).data,
                                   arena.take<float>(outputs).data});
  }
}

std::unique_ptr<AsyncQ::Worker> AsyncQ::make_worker(int index, Arena& arena) {
  const NetworkSpec& spec = shared_.spec();
  auto worker = std::make_unique<Worker>(network_, groups_, arena);
  const auto rows = static_cast<std::size_t>(shape_.rows * shape_.environments);
  const auto tile = static_cast<std::size_t>(std::max(tile_rows_, shape_.environments));
  const auto stride = static_cast<std::size_t>(spec.output_stride());
  worker->seed = worker_seed(seed_, index);
  worker->target = arena.take<float>(spec.parameter_count());
  worker->inputs = InputRows::take(spec, static_cast<int>(tile), arena);
  worker->workspace = arena.take<float>(network_->workspace_size(static_cast<int>(tile), true)).data;
  worker->outputs = arena.take<float>(tile * stride).data;
  worker->d_outputs = arena.take<float>(tile * stride).data;
  worker->metrics = arena.take<float>(tile * DqnRowMetrics::kSize).data;
  worker->target_outputs = arena.take<float>(rows * stride).data;
  worker->rows = {arena.take<std::int32_t>(rows).data, arena.take<std::int32_t>(rows).data,
                  arena.take<std::int32_t>(rows).data, arena.take<float>(rows).data, arena.take<float>(rows).data};
  worker->chosen = arena.take<std::int32_t>(static_cast<std::size_t>(shape_.environments));
  worker->sums = arena.take<double>(DqnRowMetrics::kSize);
  return worker;
}

void AsyncQ::initialize(const Stream& stream) {
  shared_.initialize(seed_);
  hogwild_copy(shared_.parameters().data, target_.data, target_.size());
  restored(stream, false);
}

void AsyncQ::restored(const Stream& stream, bool begun) {
  for (const auto& worker : workers_) {
    shared_.snapshot(stream, worker->network);
    worker->target_version = -1;
    worker->chosen_ahead = begun && config_.bootstrap == BootstrapKind::kSarsa;
  }
}

void AsyncQ::act(const Stream& stream, int index, const TrajectoryRing& ring, const Epsilon& epsilon) {
  Worker& worker = *workers_[static_cast<std::size_t>(index)];
  if (!worker.chosen_ahead) return choose(stream, worker, ring, epsilon);
  std::uint32_t* const records = ring.records(ring.slot(ring.head()));
  for (int i = 0; i < shape_.environments; ++i) {
    records[i * shape_.record.words] = static_cast<std::uint32_t>(worker.chosen[static_cast<std::size_t>(i)]);
  }
  worker.chosen_ahead = false;
}

void AsyncQ::choose(const Stream& stream, Worker& worker, const TrajectoryRing& ring, const Epsilon& epsilon) const {
  const NetworkSpec& spec = shared_.spec();
  const int slot = ring.slot(ring.head()), n = shape_.environments;
  prepare_inputs(stream, spec, identity_, ring.obs(slot), 0, n, worker.inputs);
  network_->forward(stream, worker.network.parameters(), worker.inputs.input(), n, false, worker.workspace,
                    worker.outputs);
  const RandomKey key{worker.seed, static_cast<std::uint64_t>(ring.head()), Purpose::kExploration};
  std::uint32_t* const records = ring.records(slot);
  for (int i = 0; i < n; ++i) {
    const int greedy = argmax(worker.outputs + i * spec.output_stride(), action_.count);
    const int action = epsilon_greedy(greedy, action_.count, epsilon.of(i), key, i);
    records[i * shape_.record.words] = static_cast<std::uint32_t>(action);
  }
}

// Sarsa's target of the rollout's last row needs the action that the next rollout will execute first.
void AsyncQ::choose_ahead(const Stream& stream, Worker& worker, const TrajectoryRing& ring,
                          const Epsilon& epsilon) const {
  choose(stream, worker, ring, epsilon);
  const std::uint32_t* const records = ring.records(ring.slot(ring.head()));
  for (int i = 0; i < shape_.environments; ++i) {
    worker.chosen[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(records[i * shape_.record.words]);
  }
  worker.chosen_ahead = true;
}

void AsyncQ::learn(const Stream& stream, int index, const TrajectoryRing& ring, const Epsilon& epsilon,
                   float learning_rate) {
  Worker& worker = *workers_[static_cast<std::size_t>(index)];
  if (config_.bootstrap == BootstrapKind::kSarsa) choose_ahead(stream, worker, ring, epsilon);
  accumulate(stream, index, ring);
  shared_.add(stream, worker.network, groups_, 1.0f, learning_rate);
  worker.norms += static_cast<double>(worker.network.state()->gradient_norm);
  ++worker.updates;
}

void AsyncQ::accumulate(const Stream& stream, int index, const TrajectoryRing& ring) {
  Worker& worker = *workers_[static_cast<std::size_t>(index)];
  const std::int64_t version = target_version_.load(std::memory_order_acquire);
  if (version != worker.target_version) hogwild_copy(target_.data, worker.target.data, target_.size());
  worker.target_version = version;
  evaluate_target(stream, worker, ring.view(), fold_targets(worker, ring.view()));
  for_each_group(stream, shape_.rows * shape_.environments, groups_,
                 [&](int group, int begin, int end, int, const Stream& serial) {
                   worker.network.clear_gradients(serial, group);
                   for (int tile = begin; tile < end; tile += tile_rows_) {
                     accumulate_tile(serial, worker, ring.view(), tile, std::min(tile_rows_, end - tile), group);
                   }
                 });
}

// Returns the first row of target_outputs that a target bootstraps from.
int AsyncQ::fold_targets(const Worker& worker, const RingView& ring) const {
  const int n = shape_.environments;
  const TdRows& rows = worker.rows;
  int first = shape_.rows * n;
  for (int r = 0; r < shape_.rows * n; ++r) {
    const int slot = r / n, environment = r % n, left = shape_.rows - slot;
    const int steps = config_.n_step > 0 ? std::min(config_.n_step, left) : left;
    const NStepTarget target = fold_n_step(ring, slot, environment, steps, config_.gamma);
    const std::size_t index = ring.index(slot, environment), next = ring.index(target.bootstrap_slot, environment);
    rows.actions[r] = ring.flags(index) & kValid ? static_cast<std::int32_t>(ring.record(index)[0]) : -1;
    rows.bootstraps[r] = static_cast<std::int32_t>(next) - n;
    rows.next_actions[r] = static_cast<std::int32_t>(ring.record(next)[0]);
    rows.rewards[r] = target.reward;
    rows.discounts[r] = target.discount;
    if (target.discount != 0.0f) first = std::min(first, rows.bootstraps[r]);
  }
  return first;
}

// Row r of target_outputs belongs to the observation after row r. Rows before `begin` keep old values, times 0.
void AsyncQ::evaluate_target(const Stream& stream, Worker& worker, const RingView& ring, int begin) const {
  const int rows = shape_.rows * shape_.environments, stride = shared_.spec().output_stride();
  for (int tile = begin; tile < rows; tile += tile_rows_) {
    const int count = std::min(tile_rows_, rows - tile);
    prepare_inputs(stream, shared_.spec(), identity_, ring.obs, tile + shape_.environments, count, worker.inputs);
    network_->forward(stream, worker.target.data, worker.inputs.input(), count, false, worker.workspace,
                      worker.target_outputs + tile * stride);
  }
}

void AsyncQ::accumulate_tile(const Stream& stream, Worker& worker, const RingView& ring, int begin, int rows,
                             int group) const {
  const Network& network = *network_;
  const float* const parameters = worker.network.parameters();
  prepare_inputs(stream, network.spec(), identity_, ring.obs, begin, rows, worker.inputs);
  network.forward(stream, parameters, worker.inputs.input(), rows, true, worker.workspace, worker.outputs);
  tile_loss(worker, begin, rows);
  network.backward(stream, parameters, worker.network.prepared(), worker.inputs.input(), rows, worker.d_outputs,
                   worker.workspace, worker.network.gradients(group), nullptr);
  add_row_metrics(stream, worker.metrics, rows, DqnRowMetrics::kSize, worker.sums.data);
}

void AsyncQ::tile_loss(const Worker& worker, int begin, int rows) const {
  const int stride = shared_.spec().output_stride();
  const TdRows& td = worker.rows;
  std::fill_n(worker.d_outputs, rows * stride, 0.0f);
  for (int k = 0; k < rows; ++k) {
    const int r = begin + k, action = td.actions[r];
    float metrics[DqnRowMetrics::kSize] = {};
    if (action >= 0) {
      const float* const next = worker.target_outputs + td.bootstraps[r] * stride;
      const float value = bootstrap_value(config_.bootstrap, next, action_.count, 0, td.next_actions[r], 0.0f);
      const float target = fused(td.discounts[r], value, td.rewards[r]);
      const int column = k * stride + action;
      worker.d_outputs[column] = td_gradient(config_.loss, worker.outputs[column], target, metrics);
    }
    for (int m = 0; m < DqnRowMetrics::kSize; ++m) worker.metrics[m * rows + k] = metrics[m];
  }
}

void AsyncQ::update_target() {
  hogwild_copy(shared_.parameters().data, target_.data, target_.size());
  target_version_.fetch_add(1, std::memory_order_release);
}

void AsyncQ::evaluate(const Stream& stream, const EvaluationRequest& request) const {
  const EvaluationScratch& scratch = evaluation_scratch_[static_cast<std::size_t>(request.worker)];
  const int rows = request.end - request.begin;
  prepare_inputs(stream, shared_.spec(), identity_, request.obs, request.begin, rows, scratch.inputs);
  network_->forward(stream, shared_.parameters().data, scratch.inputs.input(), rows, false, scratch.workspace,
                    scratch.outputs);
  choose_epsilon_greedy(stream,
                        {scratch.outputs, shared_.spec().output_stride(), action_.count, request.records, shape_.record,
                         request.begin, rows},
                        {request.seed, request.row, Purpose::kExploration}, request.epsilon);
}

AsyncQMetrics AsyncQ::read_metrics() {
  double sums[DqnRowMetrics::kSize] = {}, norms = 0.0;
  std::int64_t updates = 0;
  for (const auto& worker : workers_) {
    for (std::size_t k = 0; k < DqnRowMetrics::kSize; ++k) sums[k] += std::exchange(worker->sums[k], 0.0);
    norms += std::exchange(worker->norms, 0.0);
    updates += std::exchange(worker->updates, 0);
  }
  const double count = std::max(1.0, sums[DqnRowMetrics::kCount]);
  return {sums[DqnRowMetrics::kLoss] / count, sums[DqnRowMetrics::kQ] / count,
          sums[DqnRowMetrics::kAbsoluteError] / count, sums[DqnRowMetrics::kTarget] / count,
          norms / static_cast<double>(std::max<std::int64_t>(1, updates))};
}

}  // namespace stampede
