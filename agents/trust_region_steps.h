// SPDX-License-Identifier: Apache-2.0
// The device steps of a trust region: the surrogate's gradient, Fisher products and measurements of a tile.
#pragma once

#include "agents/losses/trust_region_loss.h"
#include "agents/rollout_batch.h"
#include "kernels/stream.h"

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
// metrics kPolicyLoss, kEntropy, kApproxKl, kClipFraction and kCount. Stream-ordered.
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

}  // namespace stampede
