// SPDX-License-Identifier: Apache-2.0
#include "agents/fused/policy_update.h"

#include <algorithm>

#include "agents/fused/cuda_launch.h"
#include "kernels/error.h"

namespace stampede {
namespace {

int log_sigmas(const PolicyLayout& layout) { return layout.has_log_sigma_vector() ? layout.action.size : 0; }

// A head's column in its tower's outputs, -1 where it belongs to another tower.
int column_in(const FusedTower& tower, int column) {
  const int own = column - tower.first_column;
  return own >= 0 && own < tower.outputs ? own : -1;
}

}  // namespace

bool FusedPolicyUpdate::fits(const NetworkSpec& spec, const PolicyLayout& layout, Precision precision) {
  const std::vector<FusedTower> towers = fused_towers(spec);
  if (towers.empty() || towers.size() > kMostPolicyTowers) return false;
  if (!layout.action.is_discrete() && layout.continuous != ContinuousPolicy::kGaussian) return false;
  if (log_sigmas(layout) > kMostActionFields || spec.features().size > 0) return false;
  if (precision == Precision::kBf16 && towers[0].inputs > kBf16Inputs) return false;
  const FusedTower& actor = towers[0];
  return column_in(actor, layout.policy_column) >= 0 && actor.outputs + log_sigmas(layout) <= kNarrowColumns;
}

FusedPolicyUpdate::FusedPolicyUpdate(const TrainableNetwork& network, const PolicyLayout& layout,
                                     const ObservationNormalizer& observations, View<double> metric_totals, int updates,
                                     Precision precision, Arena& arena, int most_blocks)
    : precision_(precision),
      optimizer_(network.optimizer()),
      blocks_(network.optimizer_blocks()),
      metric_totals_(metric_totals),
      parts_(arena.take<MomentPart>(static_cast<std::size_t>(updates) * kMomentParts)) {
  const std::vector<FusedTower> towers = fused_towers(network.spec());
  setup_.tower_count = static_cast<int>(towers.size());
  for (std::size_t t = 0; t < towers.size(); ++t) {
    const int policy = column_in(towers[t], layout.policy_column), value = column_in(towers[t], layout.value_column);
    setup_.towers[t] = {towers[t], policy, value, towers[t].outputs + (policy >= 0 ? log_sigmas(layout) : 0)};
  }
  setup_.layout = layout;
  if (layout.has_log_sigma_vector()) setup_.log_sigma = network.spec().vector_offset("log_sigma");
  setup_.parameters = network.parameters();
  if (observations.enabled()) {
    setup_.mean = observations.mean();
    setup_.inverse = observations.inverse();
  }
  setup_.state = network.state();
  const int blocks = std::min(fused_blocks(towers[0].width), most_blocks);
  setup_.partials =
      BatchPartials::take(blocks_.count, blocks / setup_.tower_count, blocks, PolicyRowMetrics::kSize, arena);
}

PolicyUpdateBatch FusedPolicyUpdate::batch(const RingView& ring, const Request& request) const {
  const std::int64_t rows = rows_.rows;
  const auto begin = static_cast<int>(request.minibatch * rows / minibatches_);
  const int size = static_cast<int>((request.minibatch + 1) * rows / minibatches_) - begin;
  const int measured = request.epoch * minibatches_ + request.minibatch;
  return {ring, rows_.permutation(request.epoch),      rows_.permuted,  begin,
          size, parts_.data + measured * kMomentParts, request.scaling, request.loss};
}

#ifdef __CUDACC__
std::size_t FusedPolicyUpdate::block_bytes(const NetworkSpec& spec, Precision precision) {
  const bool narrow = fused_towers(spec)[0].width == 64;
  if (precision == Precision::kBf16) {
    return narrow ? PolicyGradientKernel<Bf16TowerShape<64>>::kSharedBytes
                  : PolicyGradientKernel<Bf16TowerShape<128>>::kSharedBytes;
  }
  return narrow ? PolicyGradientKernel<TowerShape<64>>::kSharedBytes
                : PolicyGradientKernel<TowerShape<128>>::kSharedBytes;
}

void FusedPolicyUpdate::measure(const Stream& stream, const RingView& ring, const RolloutRows& rows, int epochs,
                                int minibatches) {
  launch_moments(CudaLaunch{stream}, ring, rows, epochs, minibatches);
}

void FusedPolicyUpdate::update(const Stream& stream, const RingView& ring, const Request& request) const {
  launch_update(CudaLaunch{stream}, ring, request);
}
#else
std::size_t FusedPolicyUpdate::block_bytes(const NetworkSpec&, Precision) { return 0; }

void FusedPolicyUpdate::measure(const Stream&, const RingView&, const RolloutRows&, int, int) {
  throw RuntimeError("fused updates: this program was built without CUDA");
}

void FusedPolicyUpdate::update(const Stream&, const RingView&, const Request&) const {
  throw RuntimeError("fused updates: this program was built without CUDA");
}
#endif

}  // namespace stampede
