// SPDX-License-Identifier: Apache-2.0
// An actor-critic's network as the fused rollout kernel reads it: where its tensors lie.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/gemm.h"
#include "kernels/hd.h"

namespace stampede {

class ActorCritic;

// Offsets in the parameter block: weights [in, out_stride], biases [out_stride].
struct FusedTower {
  std::size_t weight[3], bias[3];
  int stride[3];  // out_stride
};

// Two hidden layers and the heads, of a shared torso or of actor and critic apart.
struct FusedNetwork {
  static constexpr int kWidest = 128;

  const float* parameters = nullptr;
  FusedTower tower[2] = {};
  int towers = 1;   // 1: shared torso, its head is [policy, value]; 2: actor and critic
  int hidden1 = 0;  // multiples of 8, at most kWidest
  int hidden2 = 0;
  GemmActivation activation = GemmActivation::kTanh;
  const float* mean = nullptr;     // [D], null without normalisation
  const float* inverse = nullptr;  // [D]
};

// Why a network does not fit the kernel; empty where it does.
std::string fused_network_refusal(const ActorCritic& agent);
// The network of an agent that fits.
FusedNetwork fused_network(const ActorCritic& agent);

}  // namespace stampede
