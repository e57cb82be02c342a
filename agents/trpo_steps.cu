// SPDX-License-Identifier: Apache-2.0
#include "agents/trpo_steps.h"

#include "kernels/buffer.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct TrpoCriticLossOp {
  RolloutBatch batch;
  const MinibatchMoments* moments;
  float weight;
  TrpoCriticTile tile;

  HD void operator()(int r) const {
    const int m = tile.begin + r;
    const float error = tile.outputs[r * tile.stride] - batch.target[m];
    const float valid = batch.valid[m] != 0 ? 1.0f : 0.0f;
    tile.d_outputs[r * tile.stride] = valid * weight * moments->divisor * error;
    tile.metrics[TrpoCriticMetrics::kLoss * tile.rows + r] = valid * 0.5f * error * error;
    tile.metrics[TrpoCriticMetrics::kCount * tile.rows + r] = valid;
  }
};

}  // namespace

void critic_tile_loss(const Stream& stream, const RolloutBatch& batch, const MinibatchMoments* moments, float weight,
                      const TrpoCriticTile& tile) {
  fill_zero(stream, tile.d_outputs,
            static_cast<std::size_t>(tile.rows) * static_cast<std::size_t>(tile.stride) * sizeof(float));
  for_each_index(stream, tile.rows, TrpoCriticLossOp{batch, moments, weight, tile});
}

}  // namespace stampede
