// SPDX-License-Identifier: Apache-2.0
// A network as the fused rollout kernel reads it: where its tensors lie.
#pragma once

#include <cstddef>
#include <string>

#include "agents/fused/fused_use.h"
#include "kernels/gemm.h"
#include "kernels/hd.h"

namespace stampede {

class ActorCritic;
class TrainableNetwork;

// Offsets in the parameter block: weights [in, out_stride], the others [out_stride].
struct RolloutTower {
  const float* parameters;
  std::size_t weight[3], bias[3];
  std::size_t norm_gain[2], norm_bias[2];
  int stride[3];  // out_stride
};

// Two hidden layers and the heads, of a shared torso, of actor and critic apart, or of action values.
struct FusedNetwork {
  static constexpr int kWidest = 128;

  RolloutTower tower[2] = {};
  int towers = 1;   // 1: the head is [policy, value], or action values; 2: actor and critic, or a target network behind
  int hidden1 = 0;  // multiples of 8, at most kWidest
  int hidden2 = 0;
  GemmActivation activation = GemmActivation::kTanh;
  bool normalized = false;         // layer normalisation of the hidden layers
  const float* mean = nullptr;     // [D], null without normalisation
  const float* inverse = nullptr;  // [D]
};

// Why a network does not fit the kernel; empty where it does.
std::string fused_network_refusal(const TrainableNetwork& network, Precision precision);
std::string fused_network_refusal(const ActorCritic& agent, Precision precision);
// A network that fits.
FusedNetwork fused_network(const TrainableNetwork& network);
FusedNetwork fused_network(const ActorCritic& agent);
// A network of action values with its target network, a block of the same shape, behind it.
FusedNetwork with_target(FusedNetwork network, const float* target);

}  // namespace stampede
