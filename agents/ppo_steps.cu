// SPDX-License-Identifier: Apache-2.0
#include "agents/ppo_steps.h"

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
    const float* const out = rows.outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride);
    std::uint32_t* const record = rows.records + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.record.words);
    float* const extra = rows.extra ? rows.extra + static_cast<std::size_t>(i) * static_cast<std::size_t>(rows.extra_size) : nullptr;
    const float log_prob = layout.action.is_discrete() ? discrete(out + layout.policy_column, i, record)
                                                       : continuous(out + layout.policy_column, i, record, extra);
    if (extra == nullptr) return;
    extra[RolloutExtra::kLogProb] = log_prob;
    extra[RolloutExtra::kValue] = out[layout.value_column];
  }

  HD float discrete(const float* logits, int i, std::uint32_t* record) const {
    const int n = layout.action.count;
    const float normalizer = log_sum_exp(logits, n);
    const int action = greedy ? argmax(logits, n)
                              : sample_categorical(logits, n, normalizer,
                                                   uniform_float(key.lane_word(static_cast<std::uint32_t>(i))));
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
    rows.extra[static_cast<std::size_t>(rows.begin + r) * static_cast<std::size_t>(rows.extra_size) + RolloutExtra::kValue] =
        rows.outputs[static_cast<std::size_t>(r) * static_cast<std::size_t>(layout.output_stride) + static_cast<std::size_t>(layout.value_column)];
  }
};

struct MomentPartOp {
  RingView ring;
  Minibatch minibatch;
  MomentPart* parts;

  HD void operator()(int part) const {
    MomentPart m{0.0, 0.0, 0.0};
    const std::int64_t size = minibatch.size;
    for (std::int64_t k = part * size / kMomentParts; k < (part + 1) * size / kMomentParts; ++k) {
      const std::size_t index = minibatch.permutation(static_cast<std::uint32_t>(minibatch.begin + k));
      if (!(ring.flags(index) & kValid)) continue;
      const double a = ring.extra[index * static_cast<std::size_t>(ring.shape.extra_size) + RolloutExtra::kAdvantage];
      m.count += 1.0;
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

struct IndexOp {
  Permutation permutation;
  int begin;
  std::int32_t* indices;
  HD void operator()(int k) const {
    indices[k] = static_cast<std::int32_t>(permutation(static_cast<std::uint32_t>(begin + k)));
  }
};

struct PpoLossOp {
  PpoLossConfig config;
  PolicyLayout layout;
  RingView ring;
  const MinibatchMoments* moments;
  PpoTile tile;

  HD void operator()(int r) const {
    const auto stride = static_cast<std::size_t>(layout.output_stride);
    const float* const out = tile.outputs + static_cast<std::size_t>(r) * stride;
    float* const d_out = tile.d_outputs + static_cast<std::size_t>(r) * stride;
    float* const metrics = tile.metrics + static_cast<std::size_t>(r) * PpoRowMetrics::kSize;
    float* const d_sigma = tile.d_log_sigma ? tile.d_log_sigma + static_cast<std::size_t>(r) * 16 : nullptr;
    for (int j = 0; j < layout.output_stride; ++j) d_out[j] = 0.0f;
    for (int j = 0; d_sigma && j < 16; ++j) d_sigma[j] = 0.0f;
    for (int j = 0; j < PpoRowMetrics::kSize; ++j) metrics[j] = 0.0f;
    const auto index = static_cast<std::size_t>(tile.indices[r]);
    if (ring.flags(index) & kValid) valid_row(index, out, d_out, d_sigma, metrics);
  }

  HD void valid_row(std::size_t index, const float* out, float* d_out, float* d_sigma, float* metrics) const {
    const float* const e = ring.extra + index * static_cast<std::size_t>(ring.shape.extra_size);
    const PpoSample sample{
        e[RolloutExtra::kLogProb], e[RolloutExtra::kValue],
        (e[RolloutExtra::kAdvantage] - moments->advantage_mean) * moments->advantage_inverse, e[RolloutExtra::kReturn]};
    const float weight = moments->divisor;
    if (layout.action.is_discrete()) {
      categorical_policy_gradient(config, sample, out + layout.policy_column, layout.action.count,
                                  static_cast<int>(ring.record(index)[0]), weight, d_out + layout.policy_column,
                                  metrics);
    } else {
      gaussian_policy_gradient(config, sample, out + layout.policy_column, layout.log_sigma,
                               e + RolloutExtra::kAction, layout.action.size, weight, d_out + layout.policy_column,
                               d_sigma, metrics);
    }
    d_out[layout.value_column] =
        weight * config.value_weight * value_gradient(config, sample, out[layout.value_column], metrics);
    const float residual = sample.target - sample.old_value;
    metrics[PpoRowMetrics::kCount] = 1.0f;
    metrics[PpoRowMetrics::kTarget] = sample.target;
    metrics[PpoRowMetrics::kTargetSquared] = sample.target * sample.target;
    metrics[PpoRowMetrics::kResidual] = residual;
    metrics[PpoRowMetrics::kResidualSquared] = residual * residual;
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

void measure_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch, bool normalize,
                       MomentPart* parts, MinibatchMoments* moments) {
  for_each_index(stream, kMomentParts, MomentPartOp{ring, minibatch, parts}, 8);
  for_each_index(stream, 1, MomentFinishOp{parts, moments, normalize});
}

void minibatch_indices(const Stream& stream, const Minibatch& minibatch, int begin, int rows, std::int32_t* indices) {
  for_each_index(stream, rows, IndexOp{minibatch.permutation, minibatch.begin + begin, indices});
}

void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout, const RingView& ring,
                   const MinibatchMoments* moments, const PpoTile& tile) {
  for_each_index(stream, tile.rows, PpoLossOp{config, layout, ring, moments, tile});
}

void finish_minibatch_metrics(const Stream& stream, const MetricGroups& metrics, float target_kl, LearnerState* state) {
  for_each_index(stream, 1, FinishMetricsOp{metrics, target_kl, state});
}

}  // namespace stampede
