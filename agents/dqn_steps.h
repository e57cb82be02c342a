// SPDX-License-Identifier: Apache-2.0
// The device steps DQN is made of: sampled transitions, expected values of actions, the loss of a tile.
#pragma once

#include "agents/exploration.h"
#include "agents/value_heads.h"
#include "replay/uniform_sampler.h"

namespace stampede {

// Transitions of a tile, folded over n steps while sampled.
struct TransitionTile {
  std::int32_t* indices;       // [rows], flat ring index of the observation
  std::int32_t* next_indices;  // [rows], of the bootstrap observation
  std::int32_t* actions;       // [rows]
  float* rewards;              // [rows]
  float* discounts;            // [rows], gamma^k or 0
};
// Samples `begin` ... `begin + rows - 1` of the update that the sampler's key names. Stream-ordered.
void sample_transitions(const Stream& stream, const UniformSampler& sampler, float gamma, int begin, int rows,
                        const TransitionTile& tile);
// The same for rows that were sampled before: their flat ring indices [rows]. Stream-ordered.
void fold_transitions(const Stream& stream, const RingView& ring, const std::int32_t* indices, int n_step, float gamma,
                      int rows, const TransitionTile& tile);

// Expected returns q [rows, stride] of all actions from outputs [rows, output_stride]. Stream-ordered.
void action_values(const Stream& stream, const ValueHeads& heads, const float* outputs, int output_stride, int rows,
                   float* q, int stride);

// The loss of DQN with its options, as one HD function per row in agents/losses.
struct DqnLoss {
  ValueHeads heads;
  TdLoss td = TdLoss::kHuber;  // without a distribution
  float kappa = 1.0f;          // of the quantile Huber loss
  float temperature = 0.0f;    // above 0: soft targets
  float weight = 1.0f;         // multiplies every derivative
};

// d_outputs [rows, output_stride] and metrics [metric_count, rows] from the outputs at s and the target's at s'.
struct DqnTile {
  TransitionTile transitions;
  const float* outputs;         // [rows, output_stride]
  const float* target_outputs;  // [rows, output_stride]
  int output_stride, rows;
  const float* next_q;  // [rows, next_stride]: values that choose the next action; the online ones for Double DQN
  int next_stride;
  const float* importance;  // [rows] weights of prioritised replay, or null
  float* d_outputs;
  float* metrics;
  float* priorities;  // [rows], or null
};
void dqn_tile_loss(const Stream& stream, const DqnLoss& loss, const DqnTile& tile);

// totals[k] += sum of groups [groups, DqnRowMetrics::kSize], which are cleared.
void add_group_metrics(const Stream& stream, double* groups, int count, double* totals);

}  // namespace stampede
