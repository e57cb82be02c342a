// SPDX-License-Identifier: Apache-2.0
#include "agents/trust_region.h"

#include <algorithm>
#include <utility>

#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"

namespace stampede {
namespace {

constexpr int kParallelCount = 1 << 16;  // parameters from which threads pay for vectors

}  // namespace

void TrustRegion::check(const TrustRegionConfig& config) {
  if (config.iterations < 1) throw UsageError("cg_iterations: needs at least 1");
  if (config.backtrack_steps < 1) throw UsageError("backtrack_steps: needs at least 1");
  if (!(config.backtrack_ratio > 0.0f && config.backtrack_ratio < 1.0f)) {
    throw UsageError("backtrack_ratio: must lie between 0 and 1");
  }
}

TrustRegion::TrustRegion(const TrustRegionConfig& config, const Space& action, std::shared_ptr<const Network> policy,
                         int batch_rows, const Stream& stream, Arena& arena)
    : config_(config),
      policy_(std::move(policy)),
      batch_rows_(batch_rows),
      group_count_(gradient_groups(stream, *policy_, batch_rows)),
      tile_rows_(tile_rows(stream, *policy_, batch_rows)),
      tiles_per_group_(((batch_rows + group_count_ - 1) / group_count_ + tile_rows_ - 1) / tile_rows_),
      inputs_(InputRows::take(policy_->spec(), batch_rows, arena)),
      parameters_(arena.take<float>(policy_->spec().parameter_count())),
      candidate_(arena.take<float>(parameters_.size())),
      gradient_(arena.take<float>(parameters_.size())),
      groups_(arena.take<float>(parameters_.size() * static_cast<std::size_t>(group_count_))),
      prepared_(arena.take<float>(policy_->prepared_size())),
      kept_(arena.take<float>(policy_->workspace_size(tile_rows_, true) *
                              static_cast<std::size_t>(group_count_ * tiles_per_group_))),
      dot_scratch_(arena.take<float>(reduce_scratch_size(parameters_.size()))),
      group_metrics_(arena.take<double>(static_cast<std::size_t>(group_count_ * PolicyRowMetrics::kSize))),
      solver_(parameters_.size(), arena),
      state_(arena.take<LineSearchState>(1)),
      totals_(arena.take<TrustRegionTotals>(1)) {
  check(config);
  const NetworkSpec& spec = policy_->spec();
  const auto outputs = [&](int rows) {
    return arena.take<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(spec.output_stride())).data;
  };
  rows_.action = action;
  rows_.stride = spec.output_stride();
  rows_.outputs = outputs(batch_rows);
  if (action.is_discrete()) {
    rows_.probabilities = outputs(batch_rows);
  } else {
    log_sigma_begin_ = static_cast<int>(spec.vector_offset("log_sigma"));
    log_sigma_end_ = log_sigma_begin_ + action.size;
    rows_.log_sigma = parameters_.data + log_sigma_begin_;
  }
  const auto n = static_cast<std::size_t>(tile_rows_);
  for (int w = 0; w < stream.threads(); ++w) {
    scratch_.push_back({arena.take<float>(policy_->workspace_size(tile_rows_, false)).data, outputs(tile_rows_),
                        action.is_discrete() ? nullptr : arena.take<float>(n * 16).data,
                        arena.take<float>(n * PolicyRowMetrics::kSize).data});
  }
}

TrustRegion::Tile TrustRegion::tile(int group, int index, int begin, int rows, int worker) const {
  const Scratch& scratch = scratch_[static_cast<std::size_t>(worker)];
  const auto place = static_cast<std::size_t>(group * tiles_per_group_ + index);
  const std::size_t row = static_cast<std::size_t>(begin);
  const NetworkSpec& spec = policy_->spec();
  return {{scratch.d_outputs, scratch.d_log_sigma, scratch.metrics, begin, rows},
          kept_.data + place * policy_->workspace_size(tile_rows_, true),
          scratch.workspace,
          {inputs_.features ? inputs_.features + row * static_cast<std::size_t>(spec.input_stride()) : nullptr,
           inputs_.classes ? inputs_.classes + row : nullptr},
          rows_.outputs + row * static_cast<std::size_t>(rows_.stride),
          group,
          index == 0};
}

template <class Work>
void TrustRegion::for_each_tile(const Stream& stream, const Work& work) const {
  for_each_group(stream, batch_rows_, group_count_,
                 [&](int group, int begin, int end, int worker, const Stream& serial) {
                   for (int first = begin, index = 0; first < end; first += tile_rows_, ++index) {
                     work(serial, tile(group, index, first, std::min(tile_rows_, end - first), worker));
                   }
                 });
}

void TrustRegion::begin(const Stream& stream, const ObservationNormalizer& observations, const void* obs,
                        const RolloutBatch& batch, const MinibatchMoments* moments, float entropy_weight) {
  rows_.batch = batch;
  rows_.moments = moments;
  entropy_weight_ = entropy_weight;
  const NetworkSpec& spec = policy_->spec();
  prepare_inputs(stream, spec, observations, obs, 0, batch_rows_, inputs_);
  policy_->prepare_backward(stream, parameters_.data, prepared_.data);
  for_each_tile(stream, [&](const Stream& serial, const Tile& tile) {
    policy_->forward(serial, parameters_.data, tile.input, tile.rows.rows, true, tile.kept, tile.outputs);
    surrogate_tile_gradient(serial, rows_, entropy_weight_, tile.rows);
    backward(serial, tile);
    if (tile.rows.d_log_sigma) {
      // A free vector of parameters is a bias without inputs. The outputs' derivatives are scratch now.
      linear_backward_weights(
          serial, {nullptr, 0, tile.rows.d_log_sigma, 16, nullptr, group_gradient(tile.group) + log_sigma_begin_,
                   tile.rows.rows, 0, 16, 0, tile.rows.d_outputs});
    }
    add_metrics(serial, tile);
  });
  // The loss is the negative surrogate.
  sum_groups(for_vectors(stream), {groups_.data, group_count_, count(), -1.0f, 0.0f, 0, 0, nullptr, gradient_.data});
  begin_line_search(stream, metrics(), state_.data, totals_.data);
}

void TrustRegion::backward(const Stream& stream, const Tile& tile) const {
  float* const gradient = group_gradient(tile.group);
  if (tile.first_of_group) fill_zero(stream, gradient, parameters_.size() * sizeof(float));
  policy_->backward(stream, parameters_.data, prepared_.data, tile.input, tile.rows.rows, tile.rows.d_outputs,
                    tile.kept, gradient, nullptr);
}

void TrustRegion::add_metrics(const Stream& stream, const Tile& tile) const {
  add_row_metrics(stream, tile.rows.metrics, tile.rows.rows, PolicyRowMetrics::kSize,
                  group_metrics_.data + tile.group * PolicyRowMetrics::kSize);
}

void TrustRegion::fisher_product(const Stream& stream, const float* v, float* product) const {
  for_each_tile(stream, [&](const Stream& serial, const Tile& tile) {
    policy_->forward_tangent(serial, parameters_.data, v, tile.input, tile.rows.rows, tile.kept, tile.rows.d_outputs);
    fisher_tile_product(serial, rows_, tile.rows);
    backward(serial, tile);
  });
  sum_groups(for_vectors(stream), {groups_.data, group_count_, count(), 1.0f, config_.damping, log_sigma_begin_,
                                   log_sigma_end_, v, product});
}

void TrustRegion::improve(const Stream& stream, float max_kl, LearnerState* learner) {
  const Stream vectors = for_vectors(stream);
  solver_.solve(vectors, gradient_.data, config_.iterations, config_.tolerance,
                [&](const float* v, float* product) { fisher_product(stream, v, product); });
  const float* const x = solver_.solution();
  reduce_dot(vectors, x, gradient_.data, parameters_.size(), dot_scratch_.data, &state_.data->slope);
  reduce_dot(vectors, x, solver_.residual(), parameters_.size(), dot_scratch_.data, &state_.data->leftover);
  scale_step(vectors, max_kl, state_.data);
  float fraction = 1.0f;
  for (int step = 0; step < config_.backtrack_steps; ++step, fraction *= config_.backtrack_ratio) {
    // On CUDA the remaining candidates are measured in vain; a CPU can see the decision and save the work.
    if (!stream.is_cuda() && state_.data->fraction > 0.0f) break;
    make_candidate(vectors, {parameters_.data, x, candidate_.data, count()}, fraction, state_.data);
    measure(stream);
    judge_candidate(vectors, metrics(), fraction, max_kl, state_.data);
  }
  end_line_search(vectors, {parameters_.data, x, count(), &solver_.state()->first_residual, &solver_.state()->residual},
                  state_.data, totals_.data, learner);
}

void TrustRegion::measure(const Stream& stream) const {
  for_each_tile(stream, [&](const Stream& serial, const Tile& tile) {
    policy_->forward(serial, candidate_.data, tile.input, tile.rows.rows, false, tile.workspace, tile.rows.d_outputs);
    measure_tile(serial, rows_, candidate_.data + log_sigma_begin_, tile.rows);
    add_metrics(serial, tile);
  });
}

Stream TrustRegion::for_vectors(const Stream& stream) const {
  return count() < kParallelCount ? stream.serial() : stream;
}

}  // namespace stampede
