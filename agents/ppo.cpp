// SPDX-License-Identifier: Apache-2.0
#include "agents/ppo.h"

#include <algorithm>
#include <string>

#include "agents/row_metrics.h"
#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/gemm.h"

namespace stampede {
namespace {

constexpr float kValueGain = 1.0f;
constexpr float kPolicyGain = 0.01f;  // small, so that the first policy is close to uniform

int largest_minibatch(const PpoConfig& config, const RingShape& shape) {
  const std::int64_t rows = static_cast<std::int64_t>(shape.rows) * shape.environments;
  return static_cast<int>((rows + config.minibatches - 1) / config.minibatches);
}

}  // namespace

NetworkSpec Ppo::network_spec(const PpoConfig& config, const Space& observation, const Space& action) {
  const HeadSpec policy{"policy", action.is_discrete() ? action.count : action.size, kPolicyGain};
  const HeadSpec value{"value", 1, kValueGain};
  std::vector<TowerSpec> towers;
  if (config.shared_torso) {
    towers = {config.network.tower("torso", {policy, value})};
  } else {
    towers = {config.network.tower("actor", {policy}), config.network.tower("critic", {value})};
  }
  std::vector<VectorSpec> vectors;
  if (!action.is_discrete()) vectors = {{"log_sigma", action.size, config.initial_log_sigma}};
  const bool one_hot = observation.is_discrete();
  return NetworkSpec(one_hot ? observation.count : observation.size, one_hot, std::move(towers), std::move(vectors),
                     config.network.initialization);
}

void Ppo::check(const PpoConfig& config, std::int64_t rollout_rows) {
  if (config.minibatches < 1 || config.minibatches > rollout_rows) {
    throw UsageError("minibatches: " + std::to_string(config.minibatches) + " minibatches cannot be cut from " +
                     std::to_string(rollout_rows) + " rows (num_envs x rollout_steps)");
  }
  if (config.epochs < 1) throw UsageError("epochs: needs at least 1");
}

Ppo::Ppo(const PpoConfig& config, const Space& observation, const Space& action, std::shared_ptr<const Network> network,
         const RingShape& shape, int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena)
    : config_(config),
      action_(action),
      shape_(shape),
      seed_(seed),
      max_groups_(gradient_groups(stream, *network, largest_minibatch(config, shape))),
      tile_rows_(tile_rows(stream, *network, largest_minibatch(config, shape))),
      network_(std::move(network), config.optimizer, max_groups_, arena),
      observations_(config.normalize_observations, shape, arena),
      rewards_(config.normalize_rewards, shape.environments, arena) {
  static_cast<void>(observation);
  const NetworkSpec& spec = network_.spec();
  layout_ = {action, spec.output_stride(), spec.head("policy").column, spec.head("value").column,
             action.is_discrete() ? nullptr : network_.parameters() + spec.vector_offset("log_sigma")};
  for (int w = 0; w < workers; ++w) {
    act_scratch_.push_back(take_scratch(act_rows, false, arena));
    learn_scratch_.push_back(take_scratch(tile_rows_, true, arena));
  }
  batch_ = PpoBatch::take(shape, action, largest_minibatch(config, shape), arena);
  moment_parts_ = arena.take<MomentPart>(kMomentParts);
  moments_ = arena.take<MinibatchMoments>(1);
  group_metrics_ = arena.take<double>(static_cast<std::size_t>(max_groups_ * PpoRowMetrics::kSize));
  metric_totals_ = arena.take<double>(PpoRowMetrics::kSize);
}

Ppo::Scratch Ppo::take_scratch(int rows, bool gradient, Arena& arena) const {
  const NetworkSpec& spec = network_.spec();
  const auto n = static_cast<std::size_t>(rows);
  const std::size_t outputs = n * static_cast<std::size_t>(spec.output_stride());
  Scratch scratch;
  scratch.inputs = InputRows::take(spec, rows, arena);
  scratch.workspace = arena.take<float>(network_.network().workspace_size(rows, gradient)).data;
  scratch.outputs = arena.take<float>(outputs).data;
  if (!gradient) return scratch;
  scratch.d_outputs = arena.take<float>(outputs).data;
  if (!action_.is_discrete()) scratch.d_log_sigma = arena.take<float>(n * 16).data;
  scratch.metrics = arena.take<float>(n * PpoRowMetrics::kSize).data;
  return scratch;
}

void Ppo::initialize(const Stream& stream) {
  network_.initialize(stream, seed_);
  observations_.initialize(stream);
  rewards_.initialize(stream);
}

PolicyRows Ppo::policy_rows(const ActRequest& request, const Scratch& scratch) const {
  return {scratch.outputs,
          request.records,
          request.extra,
          shape_.extra_size,
          shape_.record,
          request.begin,
          request.end - request.begin};
}

void Ppo::infer(const Stream& stream, const ActRequest& request, const Scratch& scratch) const {
  const int rows = request.end - request.begin;
  prepare_inputs(stream, network_.spec(), observations_, request.obs, request.begin, rows, scratch.inputs);
  network_.network().forward(stream, network_.parameters(), scratch.inputs.input(), rows, false, scratch.workspace,
                             scratch.outputs);
}

void Ppo::act(const Stream& stream, const ActRequest& request) const {
  const Scratch& scratch = act_scratch_[static_cast<std::size_t>(request.worker)];
  infer(stream, request, scratch);
  choose_actions(stream, layout_, policy_rows(request, scratch),
                 {request.seed.value_or(seed_), request.row, Purpose::kAction}, request.mode);
}

void Ppo::evaluate_head(const Stream& stream, const ActRequest& request) const {
  const Scratch& scratch = act_scratch_[static_cast<std::size_t>(request.worker)];
  infer(stream, request, scratch);
  store_values(stream, layout_, policy_rows(request, scratch));
}

void Ppo::learn(const Stream& stream, const TrajectoryRing& ring, const PpoSchedule& schedule) {
  const RingView& view = ring.view();
  fill_zero(stream, &network_.state()->stop, sizeof(LearnerState::stop));
  rewards_.update(stream, view, config_.gamma);
  compute_gae(stream, view, config_.gamma, config_.lambda, rewards_.scale());
  const PpoLossConfig loss{schedule.clip, config_.clip_value ? schedule.clip : 0.0f, schedule.entropy_weight,
                           config_.value_weight};
  const std::int64_t rows = static_cast<std::int64_t>(shape_.rows) * shape_.environments;
  for (int epoch = 0; epoch < config_.epochs; ++epoch) {
    const RandomKey key{
        seed_, schedule.iteration * static_cast<std::uint64_t>(config_.epochs) + static_cast<std::uint64_t>(epoch),
        Purpose::kPermutation};
    const Permutation permutation(key, static_cast<std::uint32_t>(rows));
    for (int m = 0; m < config_.minibatches; ++m) {
      // On CUDA the remaining updates are enqueued as no-ops; a CPU can see the flag and save the work.
      if (!stream.is_cuda() && network_.state()->stop) break;
      const auto begin = static_cast<int>(m * rows / config_.minibatches);
      const auto end = static_cast<int>((m + 1) * rows / config_.minibatches);
      update_minibatch(stream, view, {permutation, begin, end - begin}, loss, schedule.learning_rate);
    }
  }
  observations_.update(stream, view);
}

void Ppo::update_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch,
                           const PpoLossConfig& loss, float learning_rate) {
  gather_minibatch(stream, ring, action_, minibatch, batch_);
  measure_minibatch(stream, batch_, minibatch.size, config_.normalize_advantage, moment_parts_.data, moments_.data);
  const int groups = gradient_groups(stream, network_.network(), minibatch.size);
  for_each_group(stream, minibatch.size, groups, [&](int group, int begin, int end, int worker, const Stream& serial) {
    network_.clear_gradients(serial, group);
    const Scratch& scratch = learn_scratch_[static_cast<std::size_t>(worker)];
    for (int tile = begin; tile < end; tile += tile_rows_) {
      accumulate_tile(serial, loss, tile, std::min(tile_rows_, end - tile), group, scratch);
    }
  });
  finish_minibatch_metrics(stream, {group_metrics_.data, metric_totals_.data, groups}, config_.target_kl,
                           network_.state());
  network_.update(stream, groups, learning_rate);
}

void Ppo::accumulate_tile(const Stream& stream, const PpoLossConfig& loss, int begin, int rows, int group,
                          const Scratch& scratch) {
  const Network& network = network_.network();
  prepare_inputs(stream, network_.spec(), observations_, batch_.obs, begin, rows, scratch.inputs);
  network.forward(stream, network_.parameters(), scratch.inputs.input(), rows, true, scratch.workspace,
                  scratch.outputs);
  ppo_tile_loss(stream, loss, layout_, batch_, moments_.data,
                {scratch.outputs, scratch.d_outputs, scratch.d_log_sigma, scratch.metrics, begin, rows});
  float* const gradients = network_.gradients(group);
  network.backward(stream, network_.parameters(), network_.prepared(), scratch.inputs.input(), rows, scratch.d_outputs,
                   scratch.workspace, gradients, nullptr);
  if (scratch.d_log_sigma) {
    // A free vector of parameters is a bias without inputs.
    linear_backward_weights(stream, {nullptr, 0, scratch.d_log_sigma, 16, nullptr,
                                     gradients + network_.spec().vector_offset("log_sigma"), rows, 0, 16});
  }
  add_row_metrics(stream, scratch.metrics, rows, PpoRowMetrics::kSize,
                  group_metrics_.data + group * PpoRowMetrics::kSize);
}

PpoMetrics Ppo::read_metrics(const Stream& stream) {
  const std::vector<double> sums = to_host(stream, metric_totals_);
  LearnerState state;
  copy_to_host(stream, &state, network_.state(), sizeof state);
  const double count = std::max(1.0, sums[PpoRowMetrics::kCount]);
  const auto mean = [&](int k) { return sums[static_cast<std::size_t>(k)] / count; };
  const auto variance = [&](int first, int second) { return mean(second) - mean(first) * mean(first); };
  const double spread = variance(PpoRowMetrics::kTarget, PpoRowMetrics::kTargetSquared);
  const double residual = variance(PpoRowMetrics::kResidual, PpoRowMetrics::kResidualSquared);
  PpoMetrics metrics{mean(PpoRowMetrics::kPolicyLoss),
                     mean(PpoRowMetrics::kValueLoss),
                     mean(PpoRowMetrics::kEntropy),
                     mean(PpoRowMetrics::kApproxKl),
                     mean(PpoRowMetrics::kClipFraction),
                     spread > 0.0 ? 1.0 - residual / spread : 0.0,
                     state.gradient_norm,
                     state.step,
                     state.stop != 0,
                     state.failed != 0};
  fill_zero(stream, metric_totals_.data, metric_totals_.size() * sizeof(double));
  return metrics;
}

}  // namespace stampede
