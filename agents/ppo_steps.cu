// SPDX-License-Identifier: Apache-2.0
#include "agents/ppo_steps.h"

#include "kernels/buffer.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct ChooseOp {
  PolicyLayout layout;
  PolicyRows rows;
  RandomKey key;
  bool greedy;

  HD void operator()(int r) const {
    const int i = rows.begin + r;
    const float* const out =
        rows.outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride);
    std::uint32_t* const record =
        rows.records + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words);
    float* const extra =
        rows.extra ? rows.extra + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.extra_size) : nullptr;
    const float log_prob = layout.action.is_discrete() ? discrete(out + layout.policy_column, i, record)
                                                       : continuous(out + layout.policy_column, i, record, extra);
    if (extra == nullptr) return;
    extra[RolloutExtra::kLogProb] = log_prob;
    extra[RolloutExtra::kValue] = out[layout.value_column];
  }

  HD float discrete(const float* logits, int i, std::uint32_t* record) const {
    const int n = layout.action.count;
    const float normalizer = log_sum_exp(logits, n);
    const int action =
        greedy ? argmax(logits, n)
               : sample_categorical(logits, n, normalizer, uniform_float(key.lane_word(static_cast<std::uint32_t>(i))));
    record[0] = static_cast<std::uint32_t>(action);
    return logits[action] - normalizer;
  }

  HD float continuous(const float* means, int i, std::uint32_t* record, float* extra) const {
    Rng rng(key, static_cast<std::uint32_t>(i));
    float log_prob = 0.0f;
    for (int k = 0; k < layout.action.size; ++k) {
      const float log_sigma = layout.log_sigma[k];
      const std::uint32_t first = rng.next_word(), second = rng.next_word();
      const float action = greedy ? means[k] : fused(exp_of(log_sigma), standard_normal(first, second), means[k]);
      const float bounded = clamp(action, layout.action.low[k], layout.action.high[k]);
      record[k] = float_bits(bounded);
      if (extra) extra[RolloutExtra::kAction + k] = action;
      log_prob += gaussian_log_prob((action - means[k]) * exp_of(-log_sigma), log_sigma);
    }
    return log_prob;
  }
};

struct StoreValueOp {
  PolicyLayout layout;
  PolicyRows rows;
  HD void operator()(int r) const {
    rows.extra[static_cast<std::size_t>(rows.begin + r) * static_cast<std::size_t>(rows.extra_size) +
               RolloutExtra::kValue] =
        rows.outputs[static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride) +
                     static_cast<std::size_t>(layout.value_column)];
  }
};

// Rows per round of prefetching.
#ifdef __CUDA_ARCH__
constexpr int kGatherRound = 1;
#else
constexpr int kGatherRound = 64;
#endif

HD void prefetch(const void* address) {
#ifndef __CUDA_ARCH__
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

struct GatherOp {
  RingView ring;
  Minibatch minibatch;
  PpoBatch batch;
  int actions;  // floats of a continuous action, 0 when discrete

  HD void operator()(int begin, int end) const {
    for (int from = begin; from < end; from += kGatherRound) {
      const int count = end - from < kGatherRound ? end - from : kGatherRound;
      std::uint32_t index[kGatherRound];
      find_rows(from, count, index);
      for (int k = 0; k < count; ++k) copy_row(from + k, index[k]);
    }
  }

 private:
  HD void find_rows(int from, int count, std::uint32_t* index) const {
    const Permutation permutation = minibatch.permutation;
    const auto first = static_cast<std::uint32_t>(minibatch.begin + from);
    for (int k = 0; k < count; ++k) index[k] = permutation.once(first + static_cast<std::uint32_t>(k));
    for (int k = 0; k < count; ++k) {
      index[k] = permutation.walk(index[k]);
      prefetch(ring.record(index[k]));
      prefetch(ring.extra + static_cast<std::size_t>(index[k]) * static_cast<std::size_t>(ring.shape.extra_size));
      prefetch(ring.obs + static_cast<std::size_t>(index[k]) * static_cast<std::size_t>(ring.shape.obs_size) * 4);
    }
  }

  HD void copy_row(int m, std::size_t index) const {
    const auto size = static_cast<std::size_t>(ring.shape.obs_size);
    const auto* obs = reinterpret_cast<const std::uint32_t*>(ring.obs) + index * size;
    std::uint32_t* const to = batch.obs + static_cast<std::size_t>(m) * size;
    for (std::size_t d = 0; d < size; ++d) to[d] = obs[d];
    const float* const e = ring.extra + index * static_cast<std::size_t>(ring.shape.extra_size);
    if (actions == 0) batch.action[m] = static_cast<std::int32_t>(ring.record(index)[0]);
    for (int a = 0; a < actions; ++a) batch.raw_action[a * batch.stride + m] = e[RolloutExtra::kAction + a];
    batch.old_log_prob[m] = e[RolloutExtra::kLogProb];
    batch.old_value[m] = e[RolloutExtra::kValue];
    batch.advantage[m] = e[RolloutExtra::kAdvantage];
    batch.target[m] = e[RolloutExtra::kReturn];
    batch.valid[m] = (ring.flags(index) & kValid) != 0;
  }
};

struct MomentPartOp {
  PpoBatch batch;
  int size;
  MomentPart* parts;

  HD void operator()(int part) const {
    MomentPart m{0.0, 0.0, 0.0};
    const std::int64_t rows = size;
    for (auto k = static_cast<int>(part * rows / kMomentParts); k < static_cast<int>((part + 1) * rows / kMomentParts);
         ++k) {
      const double a = batch.valid[k] ? static_cast<double>(batch.advantage[k]) : 0.0;
      m.count += batch.valid[k];
      m.sum += a;
      m.squares += a * a;
    }
    parts[part] = m;
  }
};

struct MomentFinishOp {
  const MomentPart* parts;
  MinibatchMoments* moments;
  bool normalize;

  HD void operator()(int) const {
    MomentPart m{0.0, 0.0, 0.0};
    for (int p = 0; p < kMomentParts; ++p) {
      m.count += parts[p].count;
      m.sum += parts[p].sum;
      m.squares += parts[p].squares;
    }
    const double count = m.count > 1.0 ? m.count : 1.0;
    const double mean = m.sum / count;
    // Unbiased, as in most published implementations; a single valid row has no spread to divide by.
    const double variance = m.count > 1.0 ? (m.squares - m.sum * mean) / (m.count - 1.0) : 0.0;
    const float deviation = square_root(variance > 0.0 ? static_cast<float>(variance) : 0.0f);
    const bool apply = normalize && m.count > 1.0;
    *moments = {apply ? static_cast<float>(mean) : 0.0f, apply ? 1.0f / (deviation + 1e-8f) : 1.0f,
                static_cast<float>(1.0 / count)};
  }
};

// What both kinds of policy share: the value loss, masking and where results go. Metrics lie in columns so that rows
// are neighbouring lanes.
struct LossRows {
  PpoLossConfig config;
  PolicyLayout layout;
  PpoBatch batch;
  const MinibatchMoments* moments;
  PpoTile tile;

  HD PpoSample sample(int m) const {
    return {batch.old_log_prob[m], batch.old_value[m],
            (batch.advantage[m] - moments->advantage_mean) * moments->advantage_inverse, batch.target[m]};
  }
  HD const float* output(int r) const { return tile.outputs + static_cast<std::size_t>(r * layout.output_stride); }
  HD float* d_output(int r) const { return tile.d_outputs + static_cast<std::size_t>(r * layout.output_stride); }

  HD void finish(int r, bool valid, const PpoSample& s, float* metrics) const {
    const float gradient = value_gradient(config, s, output(r)[layout.value_column], metrics);
    d_output(r)[layout.value_column] = valid ? moments->divisor * config.value_weight * gradient : 0.0f;
    const float residual = s.target - s.old_value;
    metrics[PpoRowMetrics::kCount] = 1.0f;
    metrics[PpoRowMetrics::kTarget] = s.target;
    metrics[PpoRowMetrics::kTargetSquared] = s.target * s.target;
    metrics[PpoRowMetrics::kResidual] = residual;
    metrics[PpoRowMetrics::kResidualSquared] = residual * residual;
#ifndef __CUDA_ARCH__
#pragma GCC unroll 16
#endif
    for (int k = 0; k < PpoRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = valid ? metrics[k] : 0.0f;
  }
};

// Actions: the number of logits when the compiler should know it, so that loops over rows vectorise; 0 = any.
template <int Actions>
struct CategoricalLossOp {
  LossRows rows;

  HD void operator()(int r) const {
    constexpr int kMost = Actions > 0 ? Actions : kMaxActions;
    const int n = Actions > 0 ? Actions : rows.layout.action.count;
    const int m = rows.tile.begin + r;
    const bool valid = rows.batch.valid[m] != 0;
    float logits[kMost] = {}, d_logits[kMost], metrics[PpoRowMetrics::kSize];
    const float* const out = rows.output(r) + rows.layout.policy_column;
    for (int j = 0; j < n; ++j) logits[j] = out[j];
    const PpoSample sample = rows.sample(m);
    categorical_policy_gradient(rows.config, sample, logits, n, rows.batch.action[m], rows.moments->divisor, d_logits,
                                metrics);
    float* const d_out = rows.d_output(r) + rows.layout.policy_column;
    for (int j = 0; j < n; ++j) d_out[j] = valid ? d_logits[j] : 0.0f;
    rows.finish(r, valid, sample, metrics);
  }
};

struct GaussianLossOp {
  LossRows rows;

  HD void operator()(int r) const {
    const int n = rows.layout.action.size;
    const int m = rows.tile.begin + r;
    const bool valid = rows.batch.valid[m] != 0;
    float action[kMaxSpaceSize], d_means[kMaxSpaceSize], d_sigma[kMaxSpaceSize], metrics[PpoRowMetrics::kSize];
    for (int j = 0; j < n; ++j) action[j] = rows.batch.raw_action[j * rows.batch.stride + m];
    const PpoSample sample = rows.sample(m);
    gaussian_policy_gradient(rows.config, sample, rows.output(r) + rows.layout.policy_column, rows.layout.log_sigma,
                             action, n, rows.moments->divisor, d_means, d_sigma, metrics);
    float* const d_out = rows.d_output(r) + rows.layout.policy_column;
    float* const d_log_sigma = rows.tile.d_log_sigma + r * 16;
    for (int j = 0; j < n; ++j) {
      d_out[j] = valid ? d_means[j] : 0.0f;
      d_log_sigma[j] = valid ? d_sigma[j] : 0.0f;
    }
    rows.finish(r, valid, sample, metrics);
  }
};

struct FinishMetricsOp {
  MetricGroups metrics;
  float target_kl;
  LearnerState* state;

  HD void operator()(int) const {
    double minibatch[PpoRowMetrics::kSize] = {};
    for (int g = 0; g < metrics.count; ++g) {
      for (int k = 0; k < PpoRowMetrics::kSize; ++k) {
        double* const value = metrics.groups + g * PpoRowMetrics::kSize + k;
        minibatch[k] += *value;
        *value = 0.0;
      }
    }
    if (state->stop) return;
    for (int k = 0; k < PpoRowMetrics::kSize; ++k) metrics.totals[k] += minibatch[k];
    const double count = minibatch[PpoRowMetrics::kCount] > 1.0 ? minibatch[PpoRowMetrics::kCount] : 1.0;
    if (target_kl > 0.0f && minibatch[PpoRowMetrics::kApproxKl] / count > 1.5 * target_kl) state->stop = 1;
  }
};

}  // namespace

void choose_actions(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows, const RandomKey& key,
                    ActionMode mode) {
  for_each_index(stream, rows.rows, ChooseOp{layout, rows, key, mode == ActionMode::kGreedy});
}

void store_values(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows) {
  for_each_index(stream, rows.rows, StoreValueOp{layout, rows});
}

PpoBatch PpoBatch::take(const RingShape& shape, const Space& action, int rows, Arena& arena) {
  const auto n = static_cast<std::size_t>(rows);
  PpoBatch batch;
  batch.obs = arena.take<std::uint32_t>(n * static_cast<std::size_t>(shape.obs_size)).data;
  if (action.is_discrete()) batch.action = arena.take<std::int32_t>(n).data;
  if (!action.is_discrete()) batch.raw_action = arena.take<float>(n * static_cast<std::size_t>(action.size)).data;
  batch.old_log_prob = arena.take<float>(n).data;
  batch.old_value = arena.take<float>(n).data;
  batch.advantage = arena.take<float>(n).data;
  batch.target = arena.take<float>(n).data;
  batch.valid = arena.take<std::int32_t>(n).data;
  batch.stride = rows;
  return batch;
}

void gather_minibatch(const Stream& stream, const RingView& ring, const Space& action, const Minibatch& minibatch,
                      const PpoBatch& batch) {
  for_each_chunk(stream, minibatch.size, GatherOp{ring, minibatch, batch, action.is_discrete() ? 0 : action.size});
}

void measure_minibatch(const Stream& stream, const PpoBatch& batch, int size, bool normalize, MomentPart* parts,
                       MinibatchMoments* moments) {
  for_each_index(stream, kMomentParts, MomentPartOp{batch, size, parts}, kMomentParts / 2);
  for_each_index(stream, 1, MomentFinishOp{parts, moments, normalize});
}

void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout, const PpoBatch& batch,
                   const MinibatchMoments* moments, const PpoTile& tile) {
  const LossRows rows{config, layout, batch, moments, tile};
  const auto n = static_cast<std::size_t>(tile.rows);
  fill_zero(stream, tile.d_outputs, n * static_cast<std::size_t>(layout.output_stride) * sizeof(float));
  if (!layout.action.is_discrete()) {
    fill_zero(stream, tile.d_log_sigma, n * 16 * sizeof(float));
    return for_each_index(stream, tile.rows, GaussianLossOp{rows});
  }
  switch (layout.action.count) {
    case 2:
      return for_each_index(stream, tile.rows, CategoricalLossOp<2>{rows});
    case 3:
      return for_each_index(stream, tile.rows, CategoricalLossOp<3>{rows});
    case 4:
      return for_each_index(stream, tile.rows, CategoricalLossOp<4>{rows});
    default:
      return for_each_index(stream, tile.rows, CategoricalLossOp<0>{rows});
  }
}

void finish_minibatch_metrics(const Stream& stream, const MetricGroups& metrics, float target_kl, LearnerState* state) {
  for_each_index(stream, 1, FinishMetricsOp{metrics, target_kl, state});
}

}  // namespace stampede
