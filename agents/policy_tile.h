// SPDX-License-Identifier: Apache-2.0
// A tile of a policy's update and the step that runs a policy-gradient loss over it; included by the .cu file of each
// loss.
#pragma once

#include "agents/losses/any_policy_loss.h"
#include "agents/policy_steps.h"
#include "agents/rollout_batch.h"
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

// Size: the dimensions of an action when the compiler should know them, so that loops over rows vectorise; 0 = any.
template <class Loss, int Size>
struct GaussianLossOp {
  PolicyLossRows<Loss> rows;

  HD void operator()(int r) const {
    const int n = Size > 0 ? Size : rows.layout.action.size;
    const int m = rows.tile.begin + r;
    const bool valid = rows.batch.valid[m] != 0;
    float* const d_means = rows.d_output(r) + rows.layout.policy_column;
    float* const d_log_sigma = rows.tile.d_log_sigma + r * 16;
    const PolicySample sample = rows.sample(m);
    float metrics[PolicyRowMetrics::kSize];
    if constexpr (Size > 0) {
      float d_mean[Size], d_sigma[Size];
      differentiate(sample, r, n, d_mean, d_sigma, metrics);
      for (int j = 0; j < Size; ++j) d_means[j] = select_uniform(valid, d_mean[j], 0.0f);
      for (int j = 0; j < Size; ++j) d_log_sigma[j] = select_uniform(valid, d_sigma[j], 0.0f);
    } else {
      differentiate(sample, r, n, d_means, d_log_sigma, metrics);
      for (int j = 0; j < n; ++j) d_means[j] = select_uniform(valid, d_means[j], 0.0f);
      for (int j = 0; j < n; ++j) d_log_sigma[j] = select_uniform(valid, d_log_sigma[j], 0.0f);
    }
    rows.finish(r, valid, sample, metrics);
  }

 private:
  HD void differentiate(const PolicySample& sample, int r, int n, float* d_means, float* d_log_sigma,
                        float* metrics) const {
    gaussian_policy_gradient(rows.loss, sample, rows.output(r) + rows.layout.policy_column, rows.tile.log_sigma.row(r),
                             rows.batch.raw(rows.tile.begin + r), n, rows.moments->divisor, d_means, d_log_sigma,
                             metrics);
  }
};

// Sets the gradients that a loss does not write, padding among them, to zero. Stream-ordered.
void clear_gradients(const Stream& stream, const PolicyLayout& layout, const PolicyTile& tile);

// Over rows that the compiler vectorises for no loss: Gaussian actions of several dimensions, other distributions, any
// number of discrete actions. Stream-ordered.
void run_policy_loss(const Stream& stream, const PolicyLossRows<AnyPolicyLoss>& rows);

// Stream-ordered. Only for .cu files: instantiated elsewhere it knows no CUDA.
template <class Loss>
void run_policy_loss(const Stream& stream, const PolicyLossRows<Loss>& rows) {
  const PolicyTile& tile = rows.tile;
  const int actions = rows.layout.action.is_discrete() ? rows.layout.action.count : 0;
  const bool one_mean = rows.layout.has_log_sigma_vector() && rows.layout.action.size == 1;
  if (!one_mean && (actions < 2 || actions > 4)) {
    return run_policy_loss(
        stream, PolicyLossRows<AnyPolicyLoss>{AnyPolicyLoss(rows.loss), rows.layout, rows.batch, rows.moments, tile});
  }
  clear_gradients(stream, rows.layout, tile);
  if (one_mean) return for_each_index(stream, tile.rows, GaussianLossOp<Loss, 1>{rows});
  if (actions == 2) return for_each_index(stream, tile.rows, CategoricalLossOp<Loss, 2>{rows});
  if (actions == 3) return for_each_index(stream, tile.rows, CategoricalLossOp<Loss, 3>{rows});
  for_each_index(stream, tile.rows, CategoricalLossOp<Loss, 4>{rows});
}

}  // namespace stampede
