// SPDX-License-Identifier: Apache-2.0
// Instantiates the rollout kernel of one environment: included by a generated .cu file for each.
#pragma once

#include "kernels/launch.h"
#include "train/fused/fused_rollout.h"
#include "train/fused/rollout_blocks.h"

namespace stampede {

template <class E>
class FusedRolloutOf final : public FusedRollout {
 public:
  explicit FusedRolloutOf(const BatchedEnv<E>& env) : env_(env) {}

  int head_stride() const override { return RolloutKernel<E>::kHeadStride; }
  void launch(const Stream& stream, const FusedLaunch& shape, const FusedNetwork& network,
              const FusedRows& rows) const override {
    launch_blocks(stream, shape.grid, shape.block, shape.shared, RolloutKernel<E>{env_.batch(), network, rows});
  }

 private:
  const BatchedEnv<E>& env_;
};

// Null for environments of another type.
template <class E>
std::unique_ptr<FusedRollout> make_fused_rollout(const VectorEnv& env) {
  const auto* batched = dynamic_cast<const BatchedEnv<E>*>(&env);
  return batched ? std::make_unique<FusedRolloutOf<E>>(*batched) : nullptr;
}

}  // namespace stampede
