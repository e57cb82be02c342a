// SPDX-License-Identifier: Apache-2.0
// Instantiates the rollout kernel of one environment: included by a generated .cu file for each, where CUDA is
// built.
#pragma once

#include "kernels/launch.h"
#include "train/fused/bf16_policy_blocks.h"
#include "train/fused/fp32_policy_blocks.h"
#include "train/fused/rollout_blocks.h"

#ifdef __CUDACC__
namespace stampede {

template <class E, class Policy>
class FusedRolloutOf final : public FusedRollout {
 public:
  explicit FusedRolloutOf(const BatchedEnv<E>& env) : env_(env) {}

  FusedLaunch shape(const FusedNetwork& network, int environments, const DeviceLimits& limits) const override {
    const Policy policy{network};
    return fused_launch(sizeof(float) * static_cast<std::size_t>(policy.weight_size()),
                        sizeof(float) * static_cast<std::size_t>(policy.warp_size()), environments, limits);
  }
  void launch(const Stream& stream, const FusedLaunch& shape, const FusedNetwork& network,
              const FusedRows& rows) const override {
    launch_blocks(stream, shape.grid, shape.block, shape.shared,
                  RolloutKernel<E, Policy>{env_.batch(), {network}, rows, shape.environments});
  }

 private:
  const BatchedEnv<E>& env_;
};

// Null for environments of another type.
template <class E>
std::unique_ptr<FusedRollout> make_fused_rollout(const VectorEnv& env, Precision precision) {
  const auto* batched = dynamic_cast<const BatchedEnv<E>*>(&env);
  if (batched == nullptr) return nullptr;
  if (precision == Precision::kFp32) return std::make_unique<FusedRolloutOf<E, Fp32Policy<E>>>(*batched);
  if constexpr (Bf16Policy<E>::kFits) return std::make_unique<FusedRolloutOf<E, Bf16Policy<E>>>(*batched);
  return nullptr;
}

}  // namespace stampede
#endif
