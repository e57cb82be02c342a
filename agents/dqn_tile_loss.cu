// SPDX-License-Identifier: Apache-2.0
// The loss of a tile for each kind of value: a scalar, a categorical distribution, quantiles.
#include "agents/atom_blocks.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

struct ScalarLossOp {
  DqnLoss loss;
  DqnTile tile;

  HD void operator()(int r) const {
    const TileRow row{loss, tile, r};
    const int action = tile.actions[r];
    const float next = next_state_value(loss.heads, row.next_policy(), row.target_outputs());
    const float target = fused(tile.discounts[r], next, tile.rewards[r]);
    float metrics[DqnRowMetrics::kSize];
    const float d = td_gradient(loss.td, loss.heads.value(row.outputs(), action), target, metrics);
    row.clear(WholeRow{});
    loss.heads.spread(&d, action, row.weight(), row.d_outputs());
    row.finish(WholeRow{}, metrics, metrics[DqnRowMetrics::kAbsoluteError]);
  }
};

// A CPU thread takes whole rows; CUDA has CategoricalLossKernel and QuantileLossKernel.
struct DistributionLossOp {
  DqnLoss loss;
  DqnTile tile;

  void operator()(int r) const {
    alignas(64) float scratch[kAtomScratch * kMaxAtoms];
    categorical_row_loss(WholeRow{}, {loss, tile, r}, scratch);
  }
};

struct QuantileLossOp {
  DqnLoss loss;
  DqnTile tile;

  void operator()(int r) const {
    alignas(64) float scratch[kAtomScratch * kMaxAtoms];
    quantile_row_loss(WholeRow{}, {loss, tile, r}, scratch);
  }
};

#ifdef __CUDACC__
template <class Kernel>
void launch_rows(const Stream& stream, const Kernel& kernel) {
  launch_blocks(stream, atom_blocks(kernel.tile.rows), kAtomThreads,
                atom_scratch_bytes(kAtomScratch, kernel.loss.heads.atoms()), kernel);
}
#endif

}  // namespace

void dqn_tile_loss(const Stream& stream, const DqnLoss& loss, const DqnTile& tile) {
  constexpr int kGrain = 64;  // rows with atoms are heavy
  switch (loss.heads.distribution) {
    case ValueDistribution::kNone:
      return for_each_index(stream, tile.rows, ScalarLossOp{loss, tile});
    case ValueDistribution::kCategorical:
#ifdef __CUDACC__
      if (stream.is_cuda()) return launch_rows(stream, CategoricalLossKernel{loss, tile});
#endif
      return for_each_index_on_cpu(stream, tile.rows, DistributionLossOp{loss, tile}, kGrain);
    case ValueDistribution::kQuantile:
#ifdef __CUDACC__
      if (stream.is_cuda()) return launch_rows(stream, QuantileLossKernel{loss, tile});
#endif
      return for_each_index_on_cpu(stream, tile.rows, QuantileLossOp{loss, tile}, kGrain);
  }
}

}  // namespace stampede
