// SPDX-License-Identifier: Apache-2.0
// Deep Q-learning on CUDA with one launch per act and three per update, sampling, gathering and the target network's
// step included.
#pragma once

#include "agents/fused/dqn_update_blocks.h"
#include "agents/fused/half_tiles.h"
#include "agents/trainable_network.h"

namespace stampede {

class FusedDqn {
 public:
  // Whether values of this kind are computed this way: hidden layers of 64 and 64 or 128 and 128, at most 8 inputs and
  // outputs, no distribution.
  static bool fits(const NetworkSpec& spec, const ValueHeads& heads);
  // Shared memory of a block that updates such a network; 0 in a program without CUDA.
  static std::size_t block_bytes(const NetworkSpec& spec);

  struct Options {
    TdLoss td;
    bool double_q;
    float gamma;
    int batch_size;
    int most_blocks = kMostBlocks;  // that share a batch; fewer than fused_blocks() in tests
  };
  // A network and heads that fit; target: its parameters' counterpart.
  FusedDqn(const TrainableNetwork& network, const ValueHeads& heads, float* target, const Options& options,
           View<double> metric_totals, Arena& arena);

  // Stream-ordered, CUDA only. acts.tower and acts.heads are filled in.
  void act(const Stream& stream, DqnActs acts) const;
  // One update of batch_size rows. Stream-ordered, CUDA only.
  void update(const Stream& stream, const DqnUpdateBatch& batch, float learning_rate) const;

  // act() and update() with launches of any kind: tests run them under an emulator.
  template <class Launch>
  void launch_acts(const Launch& launch, DqnActs acts) const;
  template <class Launch>
  void launch_update(const Launch& launch, DqnUpdateBatch batch, float learning_rate) const;

 private:
  // work.template operator()<Shape>() for the shape of this network's tiles.
  template <class Work>
  auto with_shape(const Work& work) const {
    if (setup_.tower.width == 64) {
      return half_tiles_ ? work.template operator()<HalfTowerShape<64>>() : work.template operator()<TowerShape<64>>();
    }
    return half_tiles_ ? work.template operator()<HalfTowerShape<128>>() : work.template operator()<TowerShape<128>>();
  }

  OptimizerConfig optimizer_;
  OptimizerBlocks blocks_;
  DqnUpdateSetup setup_;
  int batch_size_;
  bool half_tiles_;
  View<double> metric_totals_;  // [PriorityRowMetrics::kSize]
};

#ifdef STAMPEDE_BLOCK_KERNELS
template <class Launch>
void FusedDqn::launch_acts(const Launch& launch, DqnActs acts) const {
  acts.tower = setup_.tower;
  acts.heads = setup_.heads;
  if (setup_.tower.width == 64) return launch_dqn_acts<TowerShape<64>>(acts, launch);
  launch_dqn_acts<TowerShape<128>>(acts, launch);
}

template <class Launch>
void FusedDqn::launch_update(const Launch& launch, DqnUpdateBatch batch, float learning_rate) const {
  batch.size = batch_size_;
  batch.weight = 1.0f / static_cast<float>(batch_size_);
  const DqnMetricsFinish finish{metric_totals_.data};
  with_shape([&]<class Shape>() {
    launch_dqn_update<Shape>(setup_, batch, blocks_, optimizer_, learning_rate, finish, launch);
  });
}
#endif

}  // namespace stampede
