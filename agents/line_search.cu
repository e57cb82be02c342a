// SPDX-License-Identifier: Apache-2.0
#include "agents/line_search.h"

#include "kernels/launch.h"
#include "kernels/math.h"

namespace stampede {
namespace {

// Sums of all groups, which are cleared.
HD void take_sums(const LineSearchMetrics& metrics, double* sums) {
  for (int k = 0; k < PolicyRowMetrics::kSize; ++k) sums[k] = 0.0;
  for (int g = 0; g < metrics.count; ++g) {
    for (int k = 0; k < PolicyRowMetrics::kSize; ++k) {
      double* const value = metrics.groups + g * PolicyRowMetrics::kSize + k;
      sums[k] += *value;
      *value = 0.0;
    }
  }
}

HD float objective_of(const double* sums, float entropy_weight) {
  const double count = sums[PolicyRowMetrics::kCount] > 1.0 ? sums[PolicyRowMetrics::kCount] : 1.0;
  return static_cast<float>(
      (static_cast<double>(entropy_weight) * sums[PolicyRowMetrics::kEntropy] - sums[PolicyRowMetrics::kPolicyLoss]) /
      count);
}

struct BeginSearchOp {
  LineSearchMetrics metrics;
  LineSearchState* state;
  TrustRegionTotals* totals;

  HD void operator()(int) const {
    double sums[PolicyRowMetrics::kSize];
    take_sums(metrics, sums);
    *state = {};
    state->objective = objective_of(sums, metrics.entropy_weight);
    totals->rows += sums[PolicyRowMetrics::kCount];
    totals->entropy += sums[PolicyRowMetrics::kEntropy];
    totals->target += sums[PolicyRowMetrics::kTarget];
    totals->target_squared += sums[PolicyRowMetrics::kTargetSquared];
    totals->error += sums[PolicyRowMetrics::kResidual];
    totals->error_squared += sums[PolicyRowMetrics::kResidualSquared];
  }
};

struct ScaleOp {
  float max_kl;
  LineSearchState* state;
  HD void operator()(int) const {
    const float curvature = state->slope - state->leftover;
    state->scale = curvature > 0.0f ? square_root(2.0f * max_kl / curvature) : 0.0f;
  }
};

HD float moved(float parameter, float solution, float fraction, float scale) {
  return fused(fraction * scale, solution, parameter);
}

struct CandidateOp {
  CandidateStep step;
  float fraction;
  const LineSearchState* state;
  HD void operator()(int i) const {
    step.candidate[i] = moved(step.parameters[i], step.solution[i], fraction, state->scale);
  }
};

struct JudgeOp {
  LineSearchMetrics metrics;
  float fraction, max_kl;
  LineSearchState* state;

  HD void operator()(int) const {
    double sums[PolicyRowMetrics::kSize];
    take_sums(metrics, sums);
    const double count = sums[PolicyRowMetrics::kCount] > 1.0 ? sums[PolicyRowMetrics::kCount] : 1.0;
    const float kl = static_cast<float>(sums[PolicyRowMetrics::kApproxKl] / count);
    const float objective = objective_of(sums, metrics.entropy_weight);
    // A NaN compares false.
    const bool acceptable = kl <= max_kl && objective > state->objective;
    if (state->fraction > 0.0f || !acceptable) return;
    state->fraction = fraction;
    state->new_objective = objective;
    state->new_kl = kl;
    state->new_clip_fraction = static_cast<float>(sums[PolicyRowMetrics::kClipFraction] / count);
  }
};

struct CommitOp {
  LineSearchEnd end;
  const LineSearchState* state;
  HD void operator()(int i) const {
    if (state->fraction == 0.0f) return;
    end.parameters[i] = moved(end.parameters[i], end.solution[i], state->fraction, state->scale);
  }
};

struct EndSearchOp {
  LineSearchEnd end;
  const LineSearchState* state;
  TrustRegionTotals* totals;
  LearnerState* learner;

  HD void operator()(int) const {
    const bool accepted = state->fraction > 0.0f;
    const double squares = static_cast<double>(*end.squares);
    if (!(squares - squares == 0.0)) learner->failed = 1;
    totals->updates += 1.0;
    totals->surrogate_before += static_cast<double>(state->objective);
    totals->surrogate_after += static_cast<double>(accepted ? state->new_objective : state->objective);
    totals->kl += static_cast<double>(state->new_kl);
    totals->clip_fraction += static_cast<double>(state->new_clip_fraction);
    totals->step_fraction += static_cast<double>(state->fraction);
    totals->failures += accepted ? 0.0 : 1.0;
    totals->residual += squares > 0.0 ? static_cast<double>(*end.residual) / squares : 0.0;
    totals->gradient_norm += static_cast<double>(square_root(*end.squares));
  }
};

}  // namespace

void begin_line_search(const Stream& stream, const LineSearchMetrics& metrics, LineSearchState* state,
                       TrustRegionTotals* totals) {
  for_each_index(stream, 1, BeginSearchOp{metrics, state, totals});
}

void scale_step(const Stream& stream, float max_kl, LineSearchState* state) {
  for_each_index(stream, 1, ScaleOp{max_kl, state});
}

void make_candidate(const Stream& stream, const CandidateStep& step, float fraction, const LineSearchState* state) {
  for_each_index(stream, step.count, CandidateOp{step, fraction, state});
}

void judge_candidate(const Stream& stream, const LineSearchMetrics& metrics, float fraction, float max_kl,
                     LineSearchState* state) {
  for_each_index(stream, 1, JudgeOp{metrics, fraction, max_kl, state});
}

void end_line_search(const Stream& stream, const LineSearchEnd& end, const LineSearchState* state,
                     TrustRegionTotals* totals, LearnerState* learner) {
  for_each_index(stream, end.count, CommitOp{end, state});
  for_each_index(stream, 1, EndSearchOp{end, state, totals, learner});
}

}  // namespace stampede
