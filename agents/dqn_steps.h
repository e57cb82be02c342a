// SPDX-License-Identifier: Apache-2.0
// The device steps DQN is made of: epsilon-greedy actions, sampled transitions and the loss of a tile.
#pragma once

#include "agents/losses/dqn_loss.h"
#include "replay/uniform_sampler.h"

namespace stampede {

// Epsilon-greedy (Mnih et al. 2015, algorithm 1): every action has at least epsilon / A.
struct EpsilonGreedyRows {
  const float* outputs;  // [rows, output_stride], Q-values in the first `actions` columns
  int output_stride, actions;
  std::uint32_t* records;  // [N, record words]
  RecordLayout record;
  int begin, rows;
};
void choose_epsilon_greedy(const Stream& stream, const EpsilonGreedyRows& rows, const RandomKey& key, float epsilon);

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

// d_outputs [rows, output_stride] and metrics [DqnRowMetrics::kSize, rows]; every derivative is multiplied by weight.
struct DqnTile {
  TransitionTile transitions;
  const float* outputs;
  const float* target_outputs;
  int output_stride, actions, rows;
  float* d_outputs;
  float* metrics;
};
void dqn_tile_loss(const Stream& stream, TdLoss loss, float weight, const DqnTile& tile);

}  // namespace stampede
