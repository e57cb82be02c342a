// SPDX-License-Identifier: Apache-2.0
// The device steps DQN is made of: taken actions, expected values of actions, the loss of a tile.
#pragma once

#include "agents/exploration.h"
#include "agents/losses/soft_value.h"
#include "agents/value_heads.h"
#include "replay/transitions.h"

namespace stampede {

// The actions [rows] that were taken at flat ring indices [rows]. Stream-ordered.
void gather_actions(const Stream& stream, const RingView& ring, const std::int32_t* indices, int rows,
                    std::int32_t* actions);

// Expected returns q [rows, stride] of all actions from outputs [rows, output_stride]. Stream-ordered.
void action_values(const Stream& stream, const ValueHeads& heads, const float* outputs, int output_stride, int rows,
                   float* q, int stride);

// For soft returns of several steps: entropies of Boltzmann policies over q [rows, stride] to entropies [N], from
// `begin` on. Stream-ordered.
void measure_entropies(const Stream& stream, const float* q, int stride, int actions, float temperature, int begin,
                       int rows, float* entropies);

// The loss of DQN with its options, as one HD function per row in agents/losses.
struct DqnLoss {
  ValueHeads heads;
  TdLoss td = TdLoss::kHuber;  // without a distribution
  float kappa = 1.0f;          // of the quantile Huber loss
  float temperature = 0.0f;    // above 0: soft targets
  float weight = 1.0f;         // multiplies every derivative
};

// What the next state is worth to a target, without a distribution; policy chooses its action.
HD float next_state_value(const ValueHeads& heads, const NextPolicy& policy, const float* target_outputs) {
  if (!policy.soft()) return heads.value(target_outputs, policy.greedy());
  float value = 0.0f;
  for (int a = 0; a < heads.actions; ++a) {
    value = fused(policy.probability(a), heads.value(target_outputs, a) + policy.entropy_bonus(a), value);
  }
  return value;
}

// What prioritised replay adds to DqnRowMetrics. The priority of a row is its absolute temporal-difference error,
// without clipping (Schaul et al. 2016, section 3.3); for categorical distributions the KL divergence (Hessel et al.
// 2018, section 3).
struct PriorityRowMetrics {
  static constexpr int kPriority = DqnRowMetrics::kSize, kImportance = kPriority + 1;
  static constexpr int kImportanceSquared = kPriority + 2, kSize = kPriority + 3;
};

// d_outputs [rows, output_stride] and metrics [DqnRowMetrics::kSize or PriorityRowMetrics::kSize, rows] from the
// outputs at s and the target's at s'.
struct DqnTile {
  const std::int32_t* actions;  // [rows]
  const float* rewards;         // [rows]
  const float* discounts;       // [rows]
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

}  // namespace stampede
