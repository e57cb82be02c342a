// SPDX-License-Identifier: Apache-2.0
// The device steps PPO is made of: sampling actions, normalising advantages, the loss of a tile, metrics and stopping.
#pragma once

#include "agents/losses/ppo_loss.h"
#include "agents/permutation.h"
#include "kernels/arena.h"
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

// A minibatch's rows side by side: random reads of the ring happen once, with prefetching, and the loss vectorises.
struct PpoBatch {
  std::uint32_t* obs = nullptr;    // [M, D], as in the ring
  std::int32_t* action = nullptr;  // [M], discrete
  float* raw_action = nullptr;     // [A, M], continuous: the policy's own sample
  float* old_log_prob = nullptr;   // [M]
  float* old_value = nullptr;      // [M]
  float* advantage = nullptr;      // [M]
  float* target = nullptr;         // [M], the return
  std::int32_t* valid = nullptr;   // [M], 0 or 1
  int stride = 0;                  // M, of raw_action's columns

  static PpoBatch take(const RingShape& shape, const Space& action, int rows, Arena& arena);
};
void gather_minibatch(const Stream& stream, const RingView& ring, const Space& action, const Minibatch& minibatch,
                      const PpoBatch& batch);

// Over the minibatch's valid rows; divisor = 1 / max(1, valid rows).
struct MinibatchMoments {
  float advantage_mean, advantage_inverse, divisor;
};
inline constexpr int kMomentParts = 64;
struct MomentPart {
  double count, sum, squares;
};
// normalize = false leaves advantages as they are. Stream-ordered.
void measure_minibatch(const Stream& stream, const PpoBatch& batch, int size, bool normalize, MomentPart* parts,
                       MinibatchMoments* moments);

// The loss of rows [begin, begin + rows) of a batch: writes d_outputs [rows, output_stride] (padding zero), d_log_sigma
// [rows, 16] when continuous, and metrics [PpoRowMetrics::kSize, rows]. Invalid rows get zeros.
struct PpoTile {
  const float* outputs;
  float* d_outputs;
  float* d_log_sigma;
  float* metrics;
  int begin, rows;
};
void ppo_tile_loss(const Stream& stream, const PpoLossConfig& config, const PolicyLayout& layout, const PpoBatch& batch,
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
