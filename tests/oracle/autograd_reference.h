// SPDX-License-Identifier: Apache-2.0
// What LibTorch's autograd makes, in double, of the losses and networks as their papers write them. No LibTorch header
// is needed to use it.
#pragma once

#include <vector>

#include "agents/losses/dqn_loss.h"
#include "agents/losses/ppo_loss.h"
#include "agents/networks/network.h"

namespace stampede {

struct MlpReference {
  std::vector<double> outputs;    // [rows, output_stride], padding 0
  std::vector<double> gradients;  // [parameter_count], padding 0
  std::vector<double> d_inputs;   // [rows, input_stride], padding 0; empty for one-hot inputs
};
// Reads parameters by name, as a checkpoint shows them.
MlpReference mlp_reference(const NetworkSpec& spec, const float* parameters, NetworkInput input, int rows,
                           const float* d_outputs);

// How outputs [rows, output_stride] change along `direction` [parameter_count], by differentiating autograd's gradient
// with respect to the output weights it is linear in.
std::vector<double> tangent_reference(const NetworkSpec& spec, const float* parameters, const float* direction,
                                      NetworkInput input, int rows);

// One row of a PPO minibatch: the policy's and the critic's outputs with what the rollout recorded.
struct PolicyCase {
  PpoLossConfig config;
  PolicySample sample;
  std::vector<float> policy;     // logits, or means
  std::vector<float> log_sigma;  // empty for a categorical policy
  std::vector<float> action;     // an index for a categorical policy
  float value = 0.0f;
};
struct PolicyReference {
  double policy_loss = 0.0, value_loss = 0.0, entropy = 0.0;  // unweighted
  // Of policy_loss - entropy_weight * entropy + value_weight * value_loss.
  std::vector<double> d_policy, d_log_sigma;
  double d_value = 0.0;
};
PolicyReference policy_reference(const PolicyCase& row);

struct TdReference {
  double loss = 0.0, d_q = 0.0;
};
TdReference td_reference(TdLoss loss, float q, float target);

struct DistributionReference {
  double log_sum_exp = 0.0, entropy = 0.0;
};
DistributionReference categorical_reference(const std::vector<float>& logits);

// LibTorch's mean and corrected standard deviation, as PPO normalises: (a - mean) / (std + 1e-8).
std::vector<double> normalized_reference(const std::vector<float>& advantages);

// Of a row-major matrix, descending.
std::vector<double> singular_values(const std::vector<float>& matrix, int rows, int columns);

}  // namespace stampede
