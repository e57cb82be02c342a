// SPDX-License-Identifier: Apache-2.0
#include "agents/policy_metrics.h"

#include <algorithm>
#include <cmath>

#include "kernels/launch.h"

namespace stampede {
namespace {

struct FinishMetricsOp {
  MetricGroups metrics;
  float target_kl;
  LearnerState* state;

  HD void operator()(int) const {
    double minibatch[PolicyRowMetrics::kSize] = {};
    for (int g = 0; g < metrics.count; ++g) {
      for (int k = 0; k < PolicyRowMetrics::kSize; ++k) {
        double* const value = metrics.groups + g * PolicyRowMetrics::kSize + k;
        minibatch[k] += *value;
        *value = 0.0;
      }
    }
    add_minibatch_metrics(minibatch, target_kl, metrics.totals, state);
  }
};

enum class Part { kActor, kCritic, kTorso };

Part part_of(const std::string& tensor) {
  const auto starts = [&](const char* prefix) { return tensor.rfind(prefix, 0) == 0; };
  if (starts("critic.") || starts("torso.value.")) return Part::kCritic;
  return starts("torso.") && !starts("torso.policy.") ? Part::kTorso : Part::kActor;
}

double squared_norm(const TensorLayout& tensor, std::size_t stride, std::span<const float> gradients) {
  double sum = 0.0;
  for (int r = 0; r < tensor.rows; ++r) {
    for (int c = 0; c < std::max(tensor.columns, 1); ++c) {
      double element = 0.0;
      for (std::size_t at = tensor.offset + static_cast<std::size_t>(r) * tensor.row_stride +
                            static_cast<std::size_t>(c) * tensor.column_stride;
           at < gradients.size(); at += stride) {
        element += static_cast<double>(gradients[at]);
      }
      sum += element * element;
    }
  }
  return sum;
}

}  // namespace

void finish_minibatch_metrics(const Stream& stream, const MetricGroups& metrics, float target_kl, LearnerState* state) {
  for_each_index(stream, 1, FinishMetricsOp{metrics, target_kl, state});
}

PolicyMetrics policy_metrics(std::span<const double> sums, const LearnerState& state) {
  const double count = std::max(1.0, sums[PolicyRowMetrics::kCount]);
  const auto mean = [&](int k) { return sums[static_cast<std::size_t>(k)] / count; };
  const auto variance = [&](int first, int second) { return mean(second) - mean(first) * mean(first); };
  const double spread = variance(PolicyRowMetrics::kTarget, PolicyRowMetrics::kTargetSquared);
  const double residual = variance(PolicyRowMetrics::kResidual, PolicyRowMetrics::kResidualSquared);
  return {.policy_loss = mean(PolicyRowMetrics::kPolicyLoss),
          .value_loss = mean(PolicyRowMetrics::kValueLoss),
          .entropy = mean(PolicyRowMetrics::kEntropy),
          .approx_kl = mean(PolicyRowMetrics::kApproxKl),
          .clip_fraction = mean(PolicyRowMetrics::kClipFraction),
          .explained_variance = spread > 0.0 ? 1.0 - residual / spread : 0.0,
          .gradient_norm = static_cast<double>(state.gradient_norm),
          .actor_gradient_norm = 0.0,
          .critic_gradient_norm = 0.0,
          .torso_gradient_norm = 0.0,
          .optimizer_steps = state.step,
          .stopped = state.stop != 0,
          .failed = state.failed != 0};
}

PolicyDrift mean(std::span<const PolicyDrift> parts) {
  PolicyDrift mean;
  for (const PolicyDrift& part : parts) {
    mean.rows += part.rows;
    const double share = part.rows / std::max(1.0, mean.rows);
    mean.kl += (part.kl - mean.kl) * share;
    mean.clip_fraction += (part.clip_fraction - mean.clip_fraction) * share;
  }
  return mean;
}

void measure_gradient_parts(const NetworkSpec& spec, std::span<const float> gradients, PolicyMetrics& metrics) {
  double squares[3] = {};
  for (const TensorLayout& tensor : spec.tensors()) {
    squares[static_cast<int>(part_of(tensor.name))] += squared_norm(tensor, spec.parameter_count(), gradients);
  }
  metrics.actor_gradient_norm = std::sqrt(squares[static_cast<int>(Part::kActor)]);
  metrics.critic_gradient_norm = std::sqrt(squares[static_cast<int>(Part::kCritic)]);
  metrics.torso_gradient_norm = std::sqrt(squares[static_cast<int>(Part::kTorso)]);
}

}  // namespace stampede
