// SPDX-License-Identifier: Apache-2.0
#include "agents/sac_steps.h"

#include "agents/sample_squashed.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct ActSquashedOp {
  ActRows rows;
  SquashedOutputs policy;
  NoiseView noise;

  // Dimension j of row r.
  HD SquashedSample sample(int r, int j, Rng& rng) const {
    const float mean = policy.mean(r)[j], log_sigma = policy.log_sigmas.row(r)[j];
    if (policy.noise == nullptr) return sample_squashed(mean, log_sigma, normal_of(rng));
    const float u = mean + policy.noise[16 * r + j];
    return {tanh_of(u), squashed_log_prob(mean, log_sigma, u), 0.0f};
  }
  HD void operator()(int r) const {
    const int i = rows.begin + r;
    if (rows.mode == ActMode::kRandom) return rows.write_random(i);
    Rng sample_rng({rows.seed, rows.row, Purpose::kAction}, static_cast<std::uint32_t>(i));
    Rng noise_rng({rows.seed, rows.row, Purpose::kExplorationNoise}, static_cast<std::uint32_t>(i));
    const bool ended = rows.ended_before(i);
    float log_prob = 0.0f;
    for (int j = 0; j < policy.size; ++j) {
      float coded = tanh_of(policy.mean(r)[j]);
      if (rows.mode != ActMode::kGreedy) {
        const SquashedSample sampled = sample(r, j, sample_rng);
        coded = sampled.action;
        log_prob += sampled.log_prob;
        if (rows.mode == ActMode::kExplore) coded += noise.next(i, j, ended, noise_rng);
      }
      rows.code.write_dimension(j, coded, rows.record_of(i));
    }
    rows.write_entropy(i, -log_prob);
  }
};

struct SoftBootstrapOp {
  CriticOutputs q;
  const float *log_probs, *alpha;
  float* bootstrap;

  HD void operator()(int r) const { bootstrap[r] = soft_value(q.smallest(r), log_probs[r], *alpha); }
};

struct SacPolicyLossOp {
  SacPolicyTile tile;

  HD void operator()(int r) const {
    const float* const q = tile.q.row(r);
    float* const d_q = tile.d_outputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.q.row_stride);
    for (int j = 0; j < tile.q.row_stride; ++j) d_q[j] = 0.0f;
    const int column = smallest_critic(q, tile.q.critics, tile.q.stride) * tile.q.stride;
    float metrics[SacRowMetrics::kSize], derivative = 0.0f;
    sac_policy_loss(q[column], tile.log_probs[r], *tile.alpha, &derivative, metrics);
    d_q[column] = tile.weight * derivative;
    for (int k = 0; k < SacRowMetrics::kSize; ++k) tile.metrics[k * tile.rows + r] = metrics[k];
  }
};

struct SacPolicyGradientOp {
  SacPolicyGradient g;

  HD void operator()(int r) const {
    const float *const means = g.policy.mean(r), *const log_sigmas = g.policy.log_sigmas.row(r);
    const float* const d_action =
        g.d_critic_inputs + static_cast<std::size_t>(r) * static_cast<std::size_t>(g.critic_stride) + g.obs_size;
    float* const d_out = g.d_outputs + static_cast<std::ptrdiff_t>(r) * g.d_stride;
    for (int j = 0; j < g.d_stride; ++j) d_out[j] = 0.0f;
    float* const d_means = g.d_means + static_cast<std::ptrdiff_t>(r) * g.policy.mean_stride;
    float* const d_log_sigmas = g.d_log_sigmas + static_cast<std::ptrdiff_t>(r) * g.policy.log_sigmas.stride;
    const float d_log_prob = g.weight * *g.alpha;
    for (int j = 0; j < g.policy.size; ++j) {
      const float noise = g.noise[r * g.policy.size + j];
      const SquashedSample sample = sample_squashed(means[j], log_sigmas[j], noise);
      const SquashedGradient d = squashed_gradient(sample, log_sigmas[j], noise, d_log_prob, d_action[j]);
      d_means[j] = d.mean;
      d_log_sigmas[j] = d.log_sigma;
    }
  }
};

struct ValueLossOp {
  ValueTile tile;

  HD void operator()(int r) const {
    const std::size_t offset = static_cast<std::size_t>(r) * static_cast<std::size_t>(tile.stride);
    float* const d_out = tile.d_outputs + offset;
    for (int j = 0; j < tile.stride; ++j) d_out[j] = 0.0f;
    const float target = soft_value(tile.q.smallest(r), tile.log_probs[r], *tile.alpha);
    float metrics[SacRowMetrics::kSize];
    d_out[0] = tile.weight * value_function_gradient(tile.values[offset], target, metrics);
    tile.metrics[SacRowMetrics::kValueLoss * tile.rows + r] = metrics[SacRowMetrics::kValueLoss];
  }
};

}  // namespace

void act_squashed(const Stream& stream, const ActRows& rows, const SquashedOutputs& policy, const NoiseView& noise) {
  for_each_index(stream, rows.rows, ActSquashedOp{rows, policy, noise});
}

void sample_policy(const Stream& stream, int rows, const PolicySampling& sample) {
  if (sample.policy.size == 1) return for_each_index(stream, rows, SamplePolicyOp<1>{sample});
  for_each_index(stream, rows, SamplePolicyOp<0>{sample});
}

void soft_bootstrap(const Stream& stream, int rows, const CriticOutputs& q, const float* log_probs, const float* alpha,
                    float* bootstrap) {
  for_each_index(stream, rows, SoftBootstrapOp{q, log_probs, alpha, bootstrap});
}

void sac_policy_tile_loss(const Stream& stream, const SacPolicyTile& tile) {
  for_each_index(stream, tile.rows, SacPolicyLossOp{tile});
}

void sac_policy_gradient(const Stream& stream, int rows, const SacPolicyGradient& gradient) {
  for_each_index(stream, rows, SacPolicyGradientOp{gradient});
}

void value_tile_loss(const Stream& stream, const ValueTile& tile) {
  for_each_index(stream, tile.rows, ValueLossOp{tile});
}

}  // namespace stampede
