// SPDX-License-Identifier: Apache-2.0
// What every policy-gradient method reports, whether its policy collapses included: sums on the device, means on the
// host.
#pragma once

#include <span>

#include "agents/losses/policy_loss.h"
#include "agents/networks/network_spec.h"
#include "kernels/optimizer.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace stampede {

// Means over an iteration's minibatches.
struct PolicyMetrics {
  double policy_loss, value_loss, entropy, approx_kl, clip_fraction, explained_variance;
  double gradient_norm;  // of the last update, before clipping, like its parts
  double actor_gradient_norm, critic_gradient_norm, torso_gradient_norm;
  std::int64_t optimizer_steps;
  bool stopped, failed;
};

// How far a policy is from the one that collected a rollout: means over some of its rows.
struct PolicyDrift {
  double kl = 0.0;             // (ratio - 1) - log ratio
  double clip_fraction = 0.0;  // of ratios further from 1 than kReportedClip
  double rows = 0.0;
};
PolicyDrift mean(std::span<const PolicyDrift> parts);

// A minibatch's sums enter the iteration's, and a mean KL above 1.5 target_kl (0 = never) stops the iteration. Changes
// nothing when it has stopped before.
HD void add_minibatch_metrics(const double* minibatch, float target_kl, double* totals, LearnerState* state) {
  if (state->stop) return;
  for (int k = 0; k < PolicyRowMetrics::kSize; ++k) totals[k] += minibatch[k];
  const double count = minibatch[PolicyRowMetrics::kCount] > 1.0 ? minibatch[PolicyRowMetrics::kCount] : 1.0;
  if (target_kl > 0.0f && minibatch[PolicyRowMetrics::kApproxKl] / count > 1.5 * target_kl) state->stop = 1;
}

struct MetricGroups {
  double* groups;  // [groups, PolicyRowMetrics::kSize]
  double* totals;  // [PolicyRowMetrics::kSize]
  int count;
};
// After all groups of a minibatch: adds their sums to the iteration's, clears them, and sets state->stop when the
// minibatch's mean KL exceeds 1.5 target_kl (0 = never). Stream-ordered.
void finish_minibatch_metrics(const Stream& stream, const MetricGroups& metrics, float target_kl, LearnerState* state);

// The means of the sums [PolicyRowMetrics::kSize]; without gradient norms of parts.
PolicyMetrics policy_metrics(std::span<const double> sums, const LearnerState& state);

// Norms of the gradient's parts: what only the policy, only the value and both read. gradients: [groups,
// parameter_count], whose sum over groups is the gradient.
void measure_gradient_parts(const NetworkSpec& spec, std::span<const float> gradients, PolicyMetrics& metrics);

}  // namespace stampede
