// SPDX-License-Identifier: Apache-2.0
// The device steps parallel Q-learning is made of: actions with bootstraps, minibatches and the loss of a tile.
#pragma once

#include "agents/epsilon_greedy.h"
#include "agents/losses/bootstrap.h"
#include "agents/losses/dqn_loss.h"
#include "agents/minibatch.h"
#include "kernels/arena.h"
#include "replay/returns.h"

namespace stampede {

// Rows [begin, begin + rows) of a batch of environments.
struct QRows {
  const float* outputs;            // [rows, output_stride] of the network that acts, Q-values in the first columns
  const float* bootstrap_outputs;  // [rows, output_stride] of the network that bootstraps; may be the same
  int output_stride, actions;
  std::uint32_t* records;  // [N, record words]
  float* extra;            // [N, QRolloutExtra::kSize], or null
  RecordLayout record;
  int begin, rows;
};
// Writes epsilon-greedy actions into the records and, unless extra is null, each row's bootstrap under the policy that
// these actions come from. Stream-ordered.
void choose_with_bootstrap(const Stream& stream, const QRows& rows, BootstrapKind kind, const Epsilon& epsilon,
                           const RandomKey& key);

// A minibatch's rows side by side.
struct QBatch {
  std::uint32_t* obs = nullptr;    // [M, D], as in the ring
  std::int32_t* action = nullptr;  // [M]
  float* target = nullptr;         // [M], the return
  std::uint8_t* flags = nullptr;   // [M]

  static QBatch take(const RingShape& shape, int rows, Arena& arena);
};
void gather_q_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch, const QBatch& batch);

// The loss of rows [begin, begin + rows) of a batch: d_outputs [rows, output_stride] (padding zero), divided by
// max(1, valid_rows), and metrics [DqnRowMetrics::kSize, rows]. Invalid rows get zeros.
struct QTile {
  const float* outputs;
  int output_stride;
  const std::int32_t* valid_rows;  // [1], of the whole minibatch
  float* d_outputs;
  float* metrics;
  int begin, rows;
};
void q_tile_loss(const Stream& stream, TdLoss loss, const QBatch& batch, const QTile& tile);

}  // namespace stampede
