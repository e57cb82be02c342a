// SPDX-License-Identifier: Apache-2.0
// A tile of a policy's update and the step that runs any policy-gradient loss over it; included by the .cu file of each
// loss.
#pragma once

#include <type_traits>

#include "agents/losses/policy_loss.h"
#include "agents/policy_steps.h"
#include "agents/rollout_batch.h"
#include "kernels/buffer.h"
#include "kernels/launch.h"

namespace stampede {

// Rows [begin, begin + rows) of a batch between forward and backward: the loss writes d_outputs [rows, output_stride]
// (padding zero), d_log_sigma [rows, 16] for kGaussian, and metrics [PolicyRowMetrics::kSize, rows]. Invalid rows get
// zeros.
struct PolicyTile {
  const float* outputs;
  LogSigmas log_sigma;
  float* d_outputs;
  float* d_log_sigma;
  float* metrics;
  int begin, rows;
};

// What all kinds of policy share: the value loss, masking and where results go. Metrics lie in columns so that rows are
// neighbouring lanes.
template <class Loss>
struct PolicyLossRows {
  Loss loss;
  PolicyLayout layout;
  RolloutBatch batch;
  const MinibatchMoments* moments;
  PolicyTile tile;

  HD PolicySample sample(int m) const {
    return {batch.old_log_prob[m], batch.old_value[m],
            (batch.advantage[m] - moments->advantage_mean) * moments->advantage_inverse, batch.target[m]};
  }
  HD const float* output(int r) const { return tile.outputs + static_cast<std::size_t>(r * layout.output_stride); }
  HD float* d_output(int r) const { return tile.d_outputs + static_cast<std::size_t>(r * layout.output_stride); }

  HD void finish(int r, bool valid, const PolicySample& s, float* metrics) const {
    const float gradient = value_gradient(loss, s, output(r)[layout.value_column], metrics);
    d_output(r)[layout.value_column] = select_uniform(valid, moments->divisor * loss.value_weight * gradient, 0.0f);
    measure_target(s, metrics);
#ifndef __CUDA_ARCH__
#pragma GCC unroll 16
#endif
    for (int k = 0; k < PolicyRowMetrics::kSize; ++k)
      tile.metrics[k * tile.rows + r] = select_uniform(valid, metrics[k], 0.0f);
  }
};

// Actions: the number of logits when the compiler should know it, so that loops over rows vectorise; 0 = any.
template <class Loss, int Actions>
struct CategoricalLossOp {
  PolicyLossRows<Loss> rows;

  HD void operator()(int r) const {
    const int m = rows.tile.begin + r;
    const bool valid = rows.batch.valid[m] != 0;
    const float* const out = rows.output(r) + rows.layout.policy_column;
    float* const d_out = rows.d_output(r) + rows.layout.policy_column;
    const PolicySample sample = rows.sample(m);
    float metrics[PolicyRowMetrics::kSize];
    if constexpr (Actions > 0) {
      float logits[Actions], d_logits[Actions];
      for (int j = 0; j < Actions; ++j) logits[j] = out[j];
      differentiate(sample, logits, Actions, m, d_logits, metrics);
      for (int j = 0; j < Actions; ++j) d_out[j] = select_uniform(valid, d_logits[j], 0.0f);
    } else {
      const int n = rows.layout.action.count;
      differentiate(sample, out, n, m, d_out, metrics);
      for (int j = 0; j < n; ++j) d_out[j] = select_uniform(valid, d_out[j], 0.0f);
    }
    rows.finish(r, valid, sample, metrics);
  }

 private:
  HD void differentiate(const PolicySample& sample, const float* logits, int n, int m, float* d_logits,
                        float* metrics) const {
    categorical_policy_gradient(rows.loss, sample, logits, n, rows.batch.action[m], rows.moments->divisor, d_logits,
                                metrics);
  }
};

template <class Loss>
struct GaussianLossOp {
  PolicyLossRows<Loss> rows;

  HD void operator()(int r) const {
    const int n = rows.layout.action.size;
    const int m = rows.tile.begin + r;
    const bool valid = rows.batch.valid[m] != 0;
    float* const d_means = rows.d_output(r) + rows.layout.policy_column;
    float* const d_log_sigma = rows.tile.d_log_sigma + r * 16;
    const PolicySample sample = rows.sample(m);
    float metrics[PolicyRowMetrics::kSize];
    gaussian_policy_gradient(rows.loss, sample, rows.output(r) + rows.layout.policy_column, rows.tile.log_sigma.row(r),
                             rows.batch.raw(m), n, rows.moments->divisor, d_means, d_log_sigma, metrics);
    for (int j = 0; j < n; ++j) {
      d_means[j] = valid ? d_means[j] : 0.0f;
      d_log_sigma[j] = valid ? d_log_sigma[j] : 0.0f;
    }
    rows.finish(r, valid, sample, metrics);
  }
};

template <class Loss, class Policy>
struct ContinuousLossOp {
  Policy policy;
  PolicyLossRows<Loss> rows;

  HD void operator()(int r) const {
    const int m = rows.tile.begin + r;
    const bool valid = rows.batch.valid[m] != 0;
    float metrics[PolicyRowMetrics::kSize];
    const PolicySample sample = rows.sample(m);
    continuous_policy_gradient(rows.loss, sample, policy, rows.output(r) + rows.layout.policy_column, rows.batch.raw(m),
                               valid ? rows.moments->divisor : 0.0f, rows.d_output(r) + rows.layout.policy_column,
                               metrics);
    rows.finish(r, valid, sample, metrics);
  }
};

// Stream-ordered.
template <class Loss>
void run_policy_loss(const Stream& stream, const PolicyLossRows<Loss>& rows) {
  const PolicyTile& tile = rows.tile;
  const auto n = static_cast<std::size_t>(tile.rows);
  fill_zero(stream, tile.d_outputs, n * static_cast<std::size_t>(rows.layout.output_stride) * sizeof(float));
  if (rows.layout.has_log_sigma_vector()) {
    fill_zero(stream, tile.d_log_sigma, n * 16 * sizeof(float));
    return for_each_index(stream, tile.rows, GaussianLossOp<Loss>{rows});
  }
  if (!rows.layout.action.is_discrete()) {
    return with_continuous_policy(rows.layout, [&](const auto& policy) {
      for_each_index(stream, tile.rows, ContinuousLossOp<Loss, std::decay_t<decltype(policy)>>{policy, rows});
    });
  }
  switch (rows.layout.action.count) {
    case 2:
      return for_each_index(stream, tile.rows, CategoricalLossOp<Loss, 2>{rows});
    case 3:
      return for_each_index(stream, tile.rows, CategoricalLossOp<Loss, 3>{rows});
    case 4:
      return for_each_index(stream, tile.rows, CategoricalLossOp<Loss, 4>{rows});
    default:
      return for_each_index(stream, tile.rows, CategoricalLossOp<Loss, 0>{rows});
  }
}

}  // namespace stampede
