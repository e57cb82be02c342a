// SPDX-License-Identifier: Apache-2.0
// The device steps of TRPO beside those of its trust region: the loss of its critic.
#pragma once

#include <cstddef>

#include "agents/rollout_batch.h"
#include "kernels/stream.h"

namespace stampede {

// Half the mean squared error of values, outputs [rows, stride] of which column 0 counts: writes d_outputs (padding and
// invalid rows zero) and metrics [TrpoCriticMetrics::kSize, rows]. Stream-ordered.
struct TrpoCriticMetrics {
  static constexpr int kLoss = 0, kCount = 1, kSize = 2;
};
struct TrpoCriticTile {
  const float* outputs;
  float* d_outputs;
  float* metrics;
  int stride;
  int begin, rows;  // in the batch
};
void critic_tile_loss(const Stream& stream, const RolloutBatch& batch, const MinibatchMoments* moments, float weight,
                      const TrpoCriticTile& tile);

}  // namespace stampede
