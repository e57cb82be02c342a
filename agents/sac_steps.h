// SPDX-License-Identifier: Apache-2.0
// The device steps of soft actor-critic: squashed actions and their log-probabilities, soft bootstraps, the policy's
// gradient through the critics.
#pragma once

#include "agents/losses/sac_loss.h"
#include "agents/off_policy_act.h"
#include "agents/policy_layout.h"
#include "agents/replay_batch.h"
#include "agents/twin_critic.h"

namespace stampede {

// What the policy network says about rows.
struct SquashedOutputs {
  const float* means;  // [rows, mean_stride], A columns
  int mean_stride;
  LogSigmas log_sigmas;
  int size;                      // dimensions A
  const float* noise = nullptr;  // [rows, 16], added to the means in place of noise drawn with log_sigmas

  HD const float* mean(int r) const { return means + static_cast<std::ptrdiff_t>(r) * mean_stride; }
};

// Writes the requested actions into records, with exploration noise on top when exploring. Stream-ordered.
void act_squashed(const Stream& stream, const ActRows& rows, const SquashedOutputs& policy, const NoiseView& noise);

// a ~ pi(. | s), reparameterised: action into columns [obs_size, obs_size + A) of the critic's input rows.
struct PolicySampling {
  SquashedOutputs policy;
  RandomKey key;   // index = sample of the update
  int begin;       // sample of row 0
  CriticRows out;  // [rows, stride]
  int obs_size;
  float* noise;      // [rows, A], standard normal; null when not needed again
  float* log_probs;  // [rows]
};
void sample_policy(const Stream& stream, int rows, const PolicySampling& sample);

// bootstrap[r] = min_k Q_k - alpha log pi, equation 3. Stream-ordered.
void soft_bootstrap(const Stream& stream, int rows, const CriticOutputs& q, const float* log_probs, const float* alpha,
                    float* bootstrap);

// alpha log pi - min_k Q_k: d_outputs of the critics [rows, row_stride] and metrics. Stream-ordered.
struct SacPolicyTile {
  CriticOutputs q;
  const float* log_probs;  // [rows]
  const float* alpha;      // [1]
  int rows;
  float weight;      // of every derivative
  float* d_outputs;  // [rows, row_stride] of the critics
  float* metrics;    // [SacRowMetrics::kSize, rows]
};
void sac_policy_tile_loss(const Stream& stream, const SacPolicyTile& tile);

// From dL/da, which the critics passed back, to the policy's outputs. Stream-ordered.
struct SacPolicyGradient {
  SquashedOutputs policy;
  const float* noise;            // [rows, A]
  const float* d_critic_inputs;  // [rows, critic_stride]
  int critic_stride, obs_size;
  const float* alpha;  // [1]
  float weight;
  float* d_outputs;  // [rows, d_stride] of the policy, zeroed first
  int d_stride;
  float *d_means, *d_log_sigmas;  // where in the rows of SquashedOutputs; may lie in d_outputs
};
void sac_policy_gradient(const Stream& stream, int rows, const SacPolicyGradient& gradient);

// The separate value function: V(s) towards min_k Q_k - alpha log pi. Stream-ordered.
struct ValueTile {
  const float* values;  // [rows, stride], V in column 0
  int stride;
  CriticOutputs q;
  const float* log_probs;  // [rows]
  const float* alpha;      // [1]
  int rows;
  float weight;
  float* d_outputs;  // [rows, stride]
  float* metrics;    // [SacRowMetrics::kSize, rows]; kValueLoss is written
};
void value_tile_loss(const Stream& stream, const ValueTile& tile);

}  // namespace stampede
