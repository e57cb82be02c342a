// SPDX-License-Identifier: Apache-2.0
// The device steps PPO is made of: sampling actions, normalising advantages, the loss of a tile, metrics and stopping.
#pragma once

#include "agents/losses/ppo_loss.h"
#include "agents/permutation.h"
#include "kernels/optimizer.h"
#include "kernels/space.h"
#include "replay/returns.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// Where a policy finds itself in an output row.
struct PolicyLayout {
  Space action;
  int output_stride = 0;
  int policy_column = 0;  // logits or means
  int value_column = 0;
  const float* log_sigma = nullptr;  // [A] in the parameter block, continuous only
};

enum class ActionMode { kSample, kGreedy };

// Actions of rows [begin, begin + rows) from their outputs [rows, output_stride]: into records (clipped to the action
// bounds when continuous), and unless extra is null log-probability, value and the unclipped sample. Stream-ordered.
struct PolicyRows {
  const float* outputs;
  std::uint32_t* records;  // [N, record words]
  float* extra;            // [N, extra_size]
  int extra_size;
  RecordLayout record;
  int begin, rows;
};
void choose_actions(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows, const RandomKey& key,
                    ActionMode mode);
// Values alone, of the observations in the head slot.
void store_values(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows);

// A minibatch: slice [begin, begin + size) of a permutation of all T * N rows.
struct Minibatch {
  Permutation permutation;
  int begin, size;
};

// Over the minibatch's valid rows; divisor = 1 / max(1, valid rows).
struct MinibatchMoments {
  float advantage_mean, advantage_inverse, divisor;
};
inline constexpr int kMomentParts = 64;
struct MomentPart {
  double count, sum, squares;
};
// normalize = false leaves advantages as they are. Stream-ordered.
void measure_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch, bool normalize,
                       MomentPart* parts, MinibatchMoments* moments);

// Flat ring indices of positions [begin, begin + rows) of the minibatch.
void minibatch_indices(const Stream& stream, const Minibatch& minibatch, int begin, int rows, std::int32_t* indices);

// The loss of a tile: writes d_outputs [rows, output_stride] (padding zero), d_log_sigma [rows, 16] when continuous, and
// metrics [rows, PpoRowMetrics::kSize]. Invalid rows get zeros.
struct PpoTile {
  const std::int32_t* indices;  // [rows]
  const float* outputs;
  float* d_outputs;
  float* d_log_sigma;
  float* metrics;
  int rows;
};
void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout, const RingView& ring,
                   const MinibatchMoments* moments, const PpoTile& tile);

// After all groups of a minibatch: adds their sums to the iteration's, clears them, and sets state->stop when the
// minibatch's mean KL exceeds the target (0 = never).
struct MetricGroups {
  double* groups;  // [groups, kSize]
  double* totals;  // [kSize]
  int count;
};
void finish_minibatch_metrics(const Stream& stream, const MetricGroups& metrics, float target_kl, LearnerState* state);

}  // namespace stampede
