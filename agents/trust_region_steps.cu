// SPDX-License-Identifier: Apache-2.0
#include "agents/trust_region_steps.h"

#include "kernels/buffer.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// A row's place in every array.
struct RowAccess {
  TrustRegionRows rows;
  TrustRegionTile tile;

  HD std::size_t row(int r) const {
    return static_cast<std::size_t>(tile.begin + r) * static_cast<std::size_t>(rows.stride);
  }
  HD float* d_output(int r) const { return tile.d_outputs + static_cast<std::size_t>(r * rows.stride); }
  HD bool valid(int r) const { return rows.batch.valid[tile.begin + r] != 0; }
  HD RawAction action(int r) const { return rows.batch.raw(tile.begin + r); }
  HD PolicySample sample(int r) const {
    const RolloutBatch& batch = rows.batch;
    const int m = tile.begin + r;
    return {batch.old_log_prob[m], batch.old_value[m],
            (batch.advantage[m] - rows.moments->advantage_mean) * rows.moments->advantage_inverse, batch.target[m]};
  }
  HD void store_metrics(int r, const float* metrics) const {
    const bool counts = valid(r);
    for (int k = 0; k < PolicyRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = counts ? metrics[k] : 0.0f;
  }
};

struct CategoricalGradientOp {
  RowAccess access;
  RatioLoss loss;

  HD void operator()(int r) const {
    const int n = access.rows.action.count;
    const float* const logits = access.rows.outputs + access.row(r);
    float* const p = access.rows.probabilities + access.row(r);
    const float normalizer = log_sum_exp(logits, n);
    for (int j = 0; j < n; ++j) p[j] = exp_of(logits[j] - normalizer);
    float metrics[PolicyRowMetrics::kSize] = {};
    const PolicySample sample = access.sample(r);
    const float weight = access.valid(r) ? access.rows.moments->divisor : 0.0f;
    categorical_policy_gradient(loss, sample, logits, n, access.rows.batch.action[access.tile.begin + r], weight,
                                access.d_output(r), metrics);
    measure_target(sample, metrics);
    access.store_metrics(r, metrics);
  }
};

struct GaussianGradientOp {
  RowAccess access;
  RatioLoss loss;

  HD void operator()(int r) const {
    const int n = access.rows.action.size;
    float metrics[PolicyRowMetrics::kSize] = {};
    const PolicySample sample = access.sample(r);
    const float weight = access.valid(r) ? access.rows.moments->divisor : 0.0f;
    gaussian_policy_gradient(loss, sample, access.rows.outputs + access.row(r), access.rows.log_sigma, access.action(r),
                             n, weight, access.d_output(r), access.tile.d_log_sigma + r * 16, metrics);
    measure_target(sample, metrics);
    access.store_metrics(r, metrics);
  }
};

struct CategoricalFisherOp {
  RowAccess access;
  HD void operator()(int r) const {
    const float weight = access.valid(r) ? access.rows.moments->divisor : 0.0f;
    float* const u = access.d_output(r);
    categorical_fisher_product(access.rows.probabilities + access.row(r), u, access.rows.action.count, weight, u);
  }
};

struct GaussianFisherOp {
  RowAccess access;
  HD void operator()(int r) const {
    const float weight = access.valid(r) ? access.rows.moments->divisor : 0.0f;
    float* const u = access.d_output(r);
    for (int j = 0; j < access.rows.action.size; ++j) u[j] *= weight * gaussian_mean_fisher(access.rows.log_sigma[j]);
  }
};

struct CategoricalMeasureOp {
  RowAccess access;
  HD void operator()(int r) const {
    const int n = access.rows.action.count;
    const float* const logits = access.d_output(r);
    const float normalizer = log_sum_exp(logits, n);
    float metrics[PolicyRowMetrics::kSize] = {};
    const int action = access.rows.batch.action[access.tile.begin + r];
    surrogate_gradient(RatioLoss{}, access.sample(r), logits[action] - normalizer, metrics);
    metrics[PolicyRowMetrics::kEntropy] = categorical_entropy(logits, n, normalizer);
    metrics[PolicyRowMetrics::kApproxKl] = categorical_kl(access.rows.outputs + access.row(r), logits, n);
    metrics[PolicyRowMetrics::kCount] = 1.0f;
    access.store_metrics(r, metrics);
  }
};

struct GaussianMeasureOp {
  RowAccess access;
  const float* log_sigma;  // [A]
  HD void operator()(int r) const {
    const int n = access.rows.action.size;
    const float* const means = access.d_output(r);
    const float* const old_means = access.rows.outputs + access.row(r);
    float metrics[PolicyRowMetrics::kSize] = {};
    float log_prob = 0.0f, entropy = 0.0f, kl = 0.0f;
    for (int j = 0; j < n; ++j) {
      log_prob += gaussian_log_prob((access.action(r)[j] - means[j]) * exp_of(-log_sigma[j]), log_sigma[j]);
      entropy += gaussian_entropy(log_sigma[j]);
      kl += gaussian_kl(old_means[j], access.rows.log_sigma[j], means[j], log_sigma[j]);
    }
    surrogate_gradient(RatioLoss{}, access.sample(r), log_prob, metrics);
    metrics[PolicyRowMetrics::kEntropy] = entropy;
    metrics[PolicyRowMetrics::kApproxKl] = kl;
    metrics[PolicyRowMetrics::kCount] = 1.0f;
    access.store_metrics(r, metrics);
  }
};

struct SumGroupsOp {
  GroupSum sum;

  HD void operator()(int begin, int end) const {
    for (int width = 1; width < sum.group_count; width *= 2) {
      for (int g = 0; g + width < sum.group_count; g += 2 * width) add(group(g), group(g + width), begin, end);
    }
    for (int i = begin; i < end; ++i) sum.out[i] = sum.scale * sum.groups[i];
    if (sum.v == nullptr) return;
    for (int i = begin; i < end; ++i) {
      const float fisher = (i >= sum.log_sigma_begin) & (i < sum.log_sigma_end) ? kLogSigmaFisher : 0.0f;
      sum.out[i] = fused(sum.damping + fisher, sum.v[i], sum.out[i]);
    }
  }

 private:
  HD float* group(int g) const {
    return sum.groups + static_cast<std::size_t>(g) * static_cast<std::size_t>(sum.count);
  }
  static HD void add(float* to, const float* from, int begin, int end) {
    STAMPEDE_INDEPENDENT
    for (int i = begin; i < end; ++i) to[i] += from[i];
  }
};

}  // namespace

void surrogate_tile_gradient(const Stream& stream, const TrustRegionRows& rows, float entropy_weight,
                             const TrustRegionTile& tile) {
  const auto n = static_cast<std::size_t>(tile.rows);
  fill_zero(stream, tile.d_outputs, n * static_cast<std::size_t>(rows.stride) * sizeof(float));
  const RowAccess access{rows, tile};
  if (rows.action.is_discrete()) {
    return for_each_index(stream, tile.rows, CategoricalGradientOp{access, {entropy_weight}});
  }
  fill_zero(stream, tile.d_log_sigma, n * 16 * sizeof(float));
  for_each_index(stream, tile.rows, GaussianGradientOp{access, {entropy_weight}});
}

void fisher_tile_product(const Stream& stream, const TrustRegionRows& rows, const TrustRegionTile& tile) {
  const RowAccess access{rows, tile};
  if (rows.action.is_discrete()) return for_each_index(stream, tile.rows, CategoricalFisherOp{access});
  for_each_index(stream, tile.rows, GaussianFisherOp{access});
}

void measure_tile(const Stream& stream, const TrustRegionRows& rows, const float* log_sigma,
                  const TrustRegionTile& tile) {
  const RowAccess access{rows, tile};
  if (rows.action.is_discrete()) return for_each_index(stream, tile.rows, CategoricalMeasureOp{access});
  for_each_index(stream, tile.rows, GaussianMeasureOp{access, log_sigma});
}

void sum_groups(const Stream& stream, const GroupSum& sum) { for_each_chunk(stream, sum.count, SumGroupsOp{sum}); }

}  // namespace stampede
