// SPDX-License-Identifier: Apache-2.0
// Updates of an actor-critic in three CUDA launches each, instead of one launch per layer and pass: rows are read in
// the ring, activations stay on chip.
#pragma once

#include <cstdint>
#include <utility>

#include "agents/fused/fused_use.h"
#include "agents/fused/half_tiles.h"
#include "agents/fused/policy_update_blocks.h"
#include "agents/normalizer.h"
#include "agents/trainable_network.h"

namespace stampede {

class FusedPolicyUpdate {
 public:
  // Whether networks of this spec and a policy of this layout can be updated this way: hidden layers of 64 and 64 or
  // 128 and 128, at most 8 inputs (kBf16: 7) and outputs of a tower (log sigmas included), categorical or Gaussian.
  static bool fits(const NetworkSpec& spec, const PolicyLayout& layout, Precision precision = Precision::kFp32);

  // Shared memory of a block that updates such a network; 0 in a program without CUDA.
  static std::size_t block_bytes(const NetworkSpec& spec, Precision precision);

  // A network and layout that fit the precision. updates: most updates between two calls of measure(). Batches are
  // shared by at most most_blocks blocks, fewer than fused_blocks() in tests.
  FusedPolicyUpdate(const TrainableNetwork& network, const PolicyLayout& layout,
                    const ObservationNormalizer& observations, View<double> metric_totals, int updates,
                    Precision precision, Arena& arena, int most_blocks = kMostBlocks);

  // A new iteration: the next measure() also ends a stop of the last one.
  void begin() { begins_ = true; }
  // Moments of the minibatches of `epochs` epochs, for the updates that follow: one launch. Stream-ordered, CUDA only.
  void measure(const Stream& stream, const RingView& ring, const RolloutRows& rows, int epochs, int minibatches);

  // One update, from a minibatch of an epoch that was measured. Stream-ordered, CUDA only.
  struct Request {
    int epoch, minibatch;
    AdvantageScaling scaling;
    AnyPolicyLoss loss;
    float target_kl, learning_rate;
  };
  void update(const Stream& stream, const RingView& ring, const Request& request) const;

  // Of forward pass and gradients. Loss, sums, parameters and optimiser are fp32 in either.
  Precision precision() const { return precision_; }

  // measure() and update() with launches of any kind: tests run them under an emulator.
  template <class Launch>
  void launch_moments(const Launch& launch, const RingView& ring, const RolloutRows& rows, int epochs, int minibatches);
  template <class Launch>
  void launch_update(const Launch& launch, const RingView& ring, const Request& request) const;

 private:
  PolicyUpdateBatch batch(const RingView& ring, const Request& request) const;
  template <int kHidden, class Launch>
  void launch_tiles(const Launch& launch, const RingView& ring, const Request& request) const;
  template <class Shape, class Launch>
  void launch_shape(const Launch& launch, const PolicyUpdateBatch& batch, const Request& request) const;

  Precision precision_;
  OptimizerConfig optimizer_;
  OptimizerBlocks blocks_;
  PolicyUpdateSetup setup_;
  View<double> metric_totals_;  // [PolicyRowMetrics::kSize]
  View<MomentPart> parts_;      // [updates, kMomentParts]
  RolloutRows rows_;            // of the latest measure(), like minibatches
  int minibatches_ = 1;
  bool begins_ = false;
};

#ifdef STAMPEDE_BLOCK_KERNELS
template <class Launch>
void FusedPolicyUpdate::launch_moments(const Launch& launch, const RingView& ring, const RolloutRows& rows, int epochs,
                                       int minibatches) {
  rows_ = rows;
  minibatches_ = minibatches;
  std::int32_t* const stop = std::exchange(begins_, false) ? &setup_.state->stop : nullptr;
  launch.template blocks<MomentPartsKernel::kThreads, 1>(static_cast<unsigned>(epochs * minibatches * kMomentParts), 0,
                                                         MomentPartsKernel{ring, rows, minibatches, parts_.data, stop});
}

template <class Launch>
void FusedPolicyUpdate::launch_update(const Launch& launch, const RingView& ring, const Request& request) const {
  if (setup_.towers[0].tower.width == 64) return launch_tiles<64>(launch, ring, request);
  launch_tiles<128>(launch, ring, request);
}

// On tensor cores a tile is one pass of the block's warps, whatever its rows.
template <int kHidden, class Launch>
void FusedPolicyUpdate::launch_tiles(const Launch& launch, const RingView& ring, const Request& request) const {
  const PolicyUpdateBatch batch = this->batch(ring, request);
  if (precision_ == Precision::kBf16) return launch_shape<Bf16TowerShape<kHidden>>(launch, batch, request);
  if (wants_half_tiles<kHidden>(batch.size, setup_.partials.slots)) {
    return launch_shape<HalfTowerShape<kHidden>>(launch, batch, request);
  }
  launch_shape<TowerShape<kHidden>>(launch, batch, request);
}

template <class Shape, class Launch>
void FusedPolicyUpdate::launch_shape(const Launch& launch, const PolicyUpdateBatch& batch,
                                     const Request& request) const {
  const PolicyMetricsFinish finish{metric_totals_.data, request.target_kl};
  launch_policy_update<Shape>(setup_, batch, blocks_, optimizer_, request.learning_rate, finish, launch);
}
#endif

}  // namespace stampede
