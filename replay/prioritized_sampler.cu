// SPDX-License-Identifier: Apache-2.0
#include "replay/prioritized_sampler.h"

#include <algorithm>
#include <string>

#include "kernels/buffer.h"
#include "kernels/error.h"
#include "kernels/launch.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"
#include "replay/prioritized_blocks.h"

namespace stampede {
namespace {

// For a reduction over a batch and its result, or the maxima of blocks of 256.
std::size_t scratch_size(int max_batch) {
  const auto batch = static_cast<std::size_t>(max_batch);
  return std::max(reduce_scratch_size(batch) + 1, (batch + 255) / 256);
}

}  // namespace

void PrioritizedSampler::check(const PriorityConfig& config) {
  const auto fail = [](const char* key, const char* range, double value) {
    throw UsageError(std::string(key) + ": " + std::to_string(value) + " is not " + range);
  };
  if (!(config.alpha >= 0.0f && config.alpha <= 1.0f)) fail("per_alpha", "in [0, 1]", config.alpha);
  if (!(config.epsilon >= 1e-30f && config.epsilon <= 1e30f)) fail("per_epsilon", "in [1e-30, 1e30]", config.epsilon);
  if (config.rank_interval < 1) fail("per_rank_interval", "at least 1", config.rank_interval);
}

PrioritizedSampler::PrioritizedSampler(const PriorityConfig& config, const RingShape& shape, int n_step, int max_batch,
                                       Arena& arena)
    : config_(config),
      n_step_(n_step),
      tree_((std::int64_t{shape.rows} + 1) * shape.environments, max_batch, arena),
      maximum_(arena.take<float>(1)),
      batch_(arena.take<float>(static_cast<std::size_t>(max_batch))),
      reduce_scratch_(arena.take<float>(scratch_size(max_batch))),
      arrived_(arena.take<unsigned>(1)) {
  if (config.kind == PriorityKind::kProportional) return;
  errors_ = arena.take<float>(tree_.leaves().size());
  rank_table_ = arena.take<float>(kErrorBuckets);
  counts_ = arena.take<std::int32_t>(2 * kErrorBuckets);
  scan_scratch_ = arena.take<std::int32_t>(scan_scratch_size(kErrorBuckets));
}

void PrioritizedSampler::initialize(const Stream& stream) {
  clear(stream);
  head_ = 0;
  tree_.refresh_range(stream, 0, tree_.view().leaf_count);
  for_each_index(stream, 1, SetValue{maximum_.data, 1.0f});
  if (config_.kind == PriorityKind::kRank) count_ranks(stream);
}

void PrioritizedSampler::clear(const Stream& stream) {
  fill_zero(stream, tree_.leaves().data, tree_.leaves().size() * sizeof(float));
}

void PrioritizedSampler::advance(const Stream& stream, const TrajectoryRing& ring) {
  const std::int64_t head = ring.head(), oldest = head - ring.stored_rows();
  const std::int64_t first = std::max(head_, oldest);
  if (head_ < oldest) clear(stream);  // every row that had a priority is gone
  for (std::int64_t row = first; row < head; ++row) {
    const int older = static_cast<int>(std::min<std::int64_t>(row - oldest, n_step_ - 1));
    for_each_index(stream, ring.shape().environments,
                   OpenRows{ring.view(), tree_.leaves().data, errors_.data, maximum_.data, ring.slot(row),
                            ring.slot(row + 1), older, n_step_});
  }
  head_ = head;
  if (first < head) refresh_slots(stream, std::max(oldest, first - n_step_ + 1), head + 1, ring);
}

void PrioritizedSampler::refresh_slots(const Stream& stream, std::int64_t first_row, std::int64_t end_row,
                                       const TrajectoryRing& ring) {
  const int n = ring.shape().environments, slots = ring.view().slots();
  const int rows = static_cast<int>(std::min<std::int64_t>(end_row - first_row, slots));
  const int begin = ring.slot(first_row), end = begin + rows;
  tree_.refresh_range(stream, begin * n, std::min(end, slots) * n);
  tree_.refresh_range(stream, 0, std::max(0, end - slots) * n);
}

void PrioritizedSampler::sample(const Stream& stream, const RandomKey& key, float beta, int batch,
                                std::int32_t* indices, float* weights) {
  const bool recount =
      config_.kind == PriorityKind::kRank && key.row % static_cast<std::uint64_t>(config_.rank_interval) == 0;
  if (recount) count_ranks(stream);
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    const WeightTail weigh{batch_.data, batch, beta, weights, arrived_.data};
    launch_blocks(stream, sum_tree_grid(batch), kSumTreeThreads, 0,
                  DrawKernel<WeightTail>{tree_.view(), key, config_.draw, batch, indices, batch_.data, weigh});
    return;
  }
#endif
  tree_.draw(stream, key, config_.draw, batch, indices, batch_.data);
  float* const smallest = reduce_scratch_.data;
  reduce_min(stream, batch_.data, static_cast<std::size_t>(batch), smallest + 1, smallest);
  for_each_index(stream, batch, ImportanceWeight{batch_.data, smallest, beta, weights});
}

void PrioritizedSampler::update(const Stream& stream, const std::int32_t* indices, const float* errors, int batch) {
  const NewPriorities fresh{config_.alpha,       config_.epsilon, rank_table_.data, indices,
                            tree_.leaves().data, errors_.data,    errors,           batch_.data};
  renew(stream, fresh, batch);
  // On one CPU thread: rows may occur more than once.
  for_each_chunk(stream.serial(), batch, StorePriorities{fresh});
  tree_.refresh(stream, indices, batch);
}

void PrioritizedSampler::renew(const Stream& stream, const NewPriorities& fresh, int batch) {
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    const NewPrioritiesKernel kernel{fresh, batch, maximum_.data, reduce_scratch_.data, arrived_.data};
    const auto threads = static_cast<int>(NewPrioritiesKernel::kThreads);
    return launch_blocks(stream, static_cast<unsigned>((batch + threads - 1) / threads), NewPrioritiesKernel::kThreads,
                         0, kernel);
  }
#endif
  for_each_index(stream, batch, fresh);
  for_each_chunk(stream.serial(), batch, LowerLeaves{fresh});
  float* const largest = reduce_scratch_.data;
  reduce_max(stream, batch_.data, static_cast<std::size_t>(batch), largest + 1, largest);
  for_each_index(stream, 1, RaiseValue{maximum_.data, largest});
}

void PrioritizedSampler::count_ranks(const Stream& stream) {
  std::int32_t *const counts = counts_.data, *const above = counts_.data + kErrorBuckets;
  fill_zero(stream, counts, kErrorBuckets * sizeof(std::int32_t));
  const int leaves = tree_.view().leaf_count;
  for_each_chunk(stream.serial(), leaves, CountErrors{tree_.leaves().data, errors_.data, counts});
  exclusive_scan(stream, counts, above, kErrorBuckets, scan_scratch_.data);
  for_each_index(stream, kErrorBuckets, RankPriority{counts, above, config_.alpha, rank_table_.data});
  for_each_index(stream, leaves, ApplyRank{rank_table_.data, errors_.data, tree_.leaves().data});
  tree_.refresh_range(stream, 0, leaves);
}

void PrioritizedSampler::restored(const Stream& stream, const TrajectoryRing& ring) {
  head_ = ring.head();
  if (ring.stored_rows() == 0) clear(stream);
  tree_.refresh_range(stream, 0, tree_.view().leaf_count);
}

}  // namespace stampede
