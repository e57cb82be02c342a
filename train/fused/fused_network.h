// SPDX-License-Identifier: Apache-2.0
// An actor-critic's network as the fused rollout kernel reads it: where its tensors lie, and how it stages them.
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
  // Environments of a warp, columns of a product tile, and the pitch of activations [column, environment], which puts
  // the rows of a tile into different banks.
  static constexpr int kLanes = 32, kTile = 64, kPitch = 36;

  const float* parameters = nullptr;
  FusedTower tower[2] = {};
  int towers = 1;   // 1: shared torso, its head is [policy, value]; 2: actor and critic
  int input = 0;    // features; 0: one-hot, the first layer's weights stay in global memory
  int hidden1 = 0;  // multiples of 8, at most kWidest
  int hidden2 = 0;
  GemmActivation activation = GemmActivation::kTanh;
  const float* mean = nullptr;     // [D], null without normalisation
  const float* inverse = nullptr;  // [D]

  static constexpr int kWidest = 128;

  HD int columns() const { return (hidden2 + kTile - 1) / kTile * kTile; }
  // Floats of one tower in shared memory: first [input, hidden1] and its bias, second [hidden1, columns] and its bias,
  // head [hidden2, head_stride] and its bias.
  HD int tower_size(int head_stride) const {
    return (input + 1) * hidden1 + (hidden1 + 1) * columns() + (hidden2 + 1) * head_stride;
  }
  // Floats of one warp's activations: the first layer's, and the second's tile where it does not replace them.
  HD int first_size() const { return (hidden1 > kTile ? hidden1 : kTile) * kPitch; }
  HD int warp_size() const { return first_size() + (columns() > kTile ? kTile * kPitch : 0); }
};

// Why a network does not fit the kernel; empty where it does.
std::string fused_network_refusal(const ActorCritic& agent);
// The network of an agent that fits.
FusedNetwork fused_network(const ActorCritic& agent);

}  // namespace stampede
