// SPDX-License-Identifier: Apache-2.0
// The device steps of a trust region: the surrogate's gradient, Fisher products and measurements of a tile, and the
// decisions of a line search, which stay in device memory.
#pragma once

#include "agents/losses/trust_region_loss.h"
#include "agents/rollout_batch.h"
#include "kernels/optimizer.h"

namespace stampede {

// What all passes over a rollout share. "Old" is the policy that collected it.
struct TrustRegionRows {
  Space action;
  int stride = 0;                             // floats per output row
  RolloutBatch batch;                         // [M]
  const MinibatchMoments* moments = nullptr;  // of the batch
  float* outputs = nullptr;                   // [M, stride], logits or means of the old policy
  float* probabilities = nullptr;             // [M, stride], of the old policy when discrete
  const float* log_sigma = nullptr;           // [A], of the old policy when continuous
};

// Rows [begin, begin + rows).
struct TrustRegionTile {
  float* d_outputs;    // [rows, stride]
  float* d_log_sigma;  // [rows, 16], continuous only
  float* metrics;      // [PolicyRowMetrics::kSize, rows]
  int begin, rows;
};

// From the old policy's outputs: derivatives of the mean negative surrogate minus entropy_weight times the entropy
// (padding and invalid rows zero), metrics, and the tile's rows of `probabilities`. Stream-ordered.
void surrogate_tile_gradient(const Stream& stream, const TrustRegionRows& rows, float entropy_weight,
                             const TrustRegionTile& tile);

// tile.d_outputs holds tangents of the outputs; multiplies them by the Fisher matrix of each row's distribution and by
// the batch's divisor. Invalid rows get zeros. Stream-ordered.
void fisher_tile_product(const Stream& stream, const TrustRegionRows& rows, const TrustRegionTile& tile);

// tile.d_outputs holds the outputs of another policy: its surrogate, entropy and divergence KL(old || other) into
// metrics kPolicyLoss, kEntropy, kApproxKl and kCount. Stream-ordered.
void measure_tile(const Stream& stream, const TrustRegionRows& rows, const float* log_sigma,
                  const TrustRegionTile& tile);

// out[i] = scale * (sum of the groups) + (damping + fisher_i) * v[i], where fisher_i is that of a log sigma for i in
// [log_sigma_begin, log_sigma_end) and 0 elsewhere; v null = 0. Groups are added by a fixed tree, in place.
struct GroupSum {
  float* groups;  // [group_count, count]
  int group_count;
  int count;
  float scale;
  float damping;
  int log_sigma_begin, log_sigma_end;
  const float* v;
  float* out;
};
void sum_groups(const Stream& stream, const GroupSum& sum);

// Sums over updates that metrics are made of.
struct TrustRegionTotals {
  double updates, surrogate_before, surrogate_after, kl, step_fraction, failures, residual, gradient_norm;
  double rows, entropy, target, target_squared, error, error_squared;  // of all rows of these updates
};

struct TrustRegionState {
  float slope;      // x . b of the solution x of F x = b
  float leftover;   // x . (b - F x)
  float scale;      // of x: the full step, where the quadratic model's divergence is the largest allowed one
  float objective;  // surrogate and entropy bonus of the old policy
  float fraction;   // of the full step that was accepted; 0 while none is
  float new_objective, new_kl;  // of the accepted policy
};

struct TrustRegionMetrics {
  double* groups;  // [groups, PolicyRowMetrics::kSize]
  int count;
  float entropy_weight;
};
// After the gradient: the old policy's objective, and what does not depend on the step. Clears the groups.
void begin_line_search(const Stream& stream, const TrustRegionMetrics& metrics, TrustRegionState* state,
                       TrustRegionTotals* totals);
// scale = sqrt(2 max_kl / x^T F x), with F x = b - residual; 0 where the curvature is not positive.
void scale_step(const Stream& stream, float max_kl, TrustRegionState* state);
// candidate = parameters + fraction * scale * x
struct CandidateStep {
  const float *parameters, *solution;  // [count]
  float* candidate;                    // [count]
  int count;
};
void make_candidate(const Stream& stream, const CandidateStep& step, float fraction, const TrustRegionState* state);
// Accepts the measured candidate where none was accepted yet, its divergence is at most max_kl and its objective is
// better than the old one. Clears the groups.
void judge_candidate(const Stream& stream, const TrustRegionMetrics& metrics, float fraction, float max_kl,
                     TrustRegionState* state);
// Moves to the accepted candidate; without one the parameters keep their bits. A gradient that is not finite stops the
// learner: squares = its squared norm; residual = that of its equation.
struct LineSearchEnd {
  float* parameters;      // [count]
  const float* solution;  // [count]
  int count;
  const float *squares, *residual;
};
void end_line_search(const Stream& stream, const LineSearchEnd& end, const TrustRegionState* state,
                     TrustRegionTotals* totals, LearnerState* learner);

}  // namespace stampede
