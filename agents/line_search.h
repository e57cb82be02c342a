// SPDX-License-Identifier: Apache-2.0
// A backtracking line search inside a trust region (Schulman et al. 2015, arXiv:1502.05477, appendix C), whose
// decisions stay in device memory: every candidate is measured, the first acceptable one is kept.
#pragma once

#include "agents/losses/trust_region_loss.h"
#include "kernels/optimizer.h"
#include "kernels/stream.h"

namespace stampede {

// Sums over updates that metrics are made of.
struct TrustRegionTotals {
  double updates, surrogate_before, surrogate_after, kl, clip_fraction, step_fraction, failures, residual,
      gradient_norm;
  double rows, entropy, target, target_squared, error, error_squared;  // of all rows of these updates
};

struct LineSearchState {
  float slope;      // x . b of the solution x of F x = b
  float leftover;   // x . (b - F x)
  float scale;      // of x: the full step, where the quadratic model's divergence is the largest allowed one
  float objective;  // surrogate and entropy bonus of the old policy
  float fraction;   // of the full step that was accepted; 0 while none is
  float new_objective, new_kl, new_clip_fraction;  // of the accepted policy
};

struct LineSearchMetrics {
  double* groups;  // [groups, PolicyRowMetrics::kSize]
  int count;
  float entropy_weight;
};
// After the gradient: the old policy's objective, and what does not depend on the step. Clears the groups.
void begin_line_search(const Stream& stream, const LineSearchMetrics& metrics, LineSearchState* state,
                       TrustRegionTotals* totals);
// scale = sqrt(2 max_kl / x^T F x), with F x = b - residual; 0 where the curvature is not positive.
void scale_step(const Stream& stream, float max_kl, LineSearchState* state);
// candidate = parameters + fraction * scale * x
struct CandidateStep {
  const float *parameters, *solution;  // [count]
  float* candidate;                    // [count]
  int count;
};
void make_candidate(const Stream& stream, const CandidateStep& step, float fraction, const LineSearchState* state);
// Accepts the measured candidate where none was accepted yet, its divergence is at most max_kl and its objective is
// better than the old one. Clears the groups.
void judge_candidate(const Stream& stream, const LineSearchMetrics& metrics, float fraction, float max_kl,
                     LineSearchState* state);
// Moves to the accepted candidate; without one the parameters keep their bits. A gradient that is not finite stops the
// learner: squares = its squared norm; residual = that of its equation.
struct LineSearchEnd {
  float* parameters;      // [count]
  const float* solution;  // [count]
  int count;
  const float *squares, *residual;
};
void end_line_search(const Stream& stream, const LineSearchEnd& end, const LineSearchState* state,
                     TrustRegionTotals* totals, LearnerState* learner);

}  // namespace stampede
