// SPDX-License-Identifier: Apache-2.0
#include "agents/fused/dqn_update.h"

#include <algorithm>

#include "agents/fused/cuda_launch.h"
#include "kernels/error.h"

namespace stampede {

bool FusedDqn::fits(const NetworkSpec& spec, const ValueHeads& heads) {
  return heads.distribution == ValueDistribution::kNone && fused_towers(spec).size() == 1;
}

FusedDqn::FusedDqn(const TrainableNetwork& network, const ValueHeads& heads, float* target, const Options& options,
                   View<double> metric_totals, Arena& arena)
    : optimizer_(network.optimizer()),
      blocks_(network.optimizer_blocks()),
      batch_size_(options.batch_size),
      metric_totals_(metric_totals) {
  setup_.tower = fused_towers(network.spec())[0];
  setup_.heads = heads;
  setup_.td = options.td;
  setup_.double_q = options.double_q;
  setup_.gamma = options.gamma;
  setup_.online = network.parameters();
  setup_.target = target;
  setup_.state = network.state();
  const int blocks = std::min(fused_blocks(setup_.tower.width), options.most_blocks);
  half_tiles_ =
      setup_.tower.width == 64 ? wants_half_tiles<64>(batch_size_, blocks) : wants_half_tiles<128>(batch_size_, blocks);
  const int slots = with_shape([&]<class Shape>() { return fused_slots<Shape>(batch_size_, blocks); });
  setup_.partials = BatchPartials::take(blocks_.count, slots, slots, PriorityRowMetrics::kSize, arena);
}

#ifdef __CUDACC__
std::size_t FusedDqn::block_bytes(const NetworkSpec& spec) {
  return fused_towers(spec)[0].width == 64 ? DqnGradientKernel<TowerShape<64>>::kSharedBytes
                                           : DqnGradientKernel<TowerShape<128>>::kSharedBytes;
}

void FusedDqn::act(const Stream& stream, DqnActs acts) const { launch_acts(CudaLaunch{stream}, acts); }

void FusedDqn::update(const Stream& stream, const DqnUpdateBatch& batch, float learning_rate) const {
  launch_update(CudaLaunch{stream}, batch, learning_rate);
}
#else
std::size_t FusedDqn::block_bytes(const NetworkSpec&) { return 0; }

void FusedDqn::act(const Stream&, DqnActs) const {
  throw RuntimeError("fused updates: this program was built without CUDA");
}

void FusedDqn::update(const Stream&, const DqnUpdateBatch&, float) const {
  throw RuntimeError("fused updates: this program was built without CUDA");
}
#endif

}  // namespace stampede
