// SPDX-License-Identifier: Apache-2.0
// What LibTorch's autograd makes, in double, of one row of DQN's losses as their papers write them. No LibTorch header
// is needed to use it.
#pragma once

#include <vector>

#include "agents/dqn_steps.h"

namespace stampede {

struct ValueCase {
  DqnLoss loss;
  std::vector<float> outputs, target_outputs;  // [columns of the heads]
  std::vector<float> next_q;                   // [actions]
  int action = 0;
  float reward = 0.0f, discount = 0.0f;
};
struct ValueReference {
  double loss = 0.0, q = 0.0, target = 0.0;
  double divergence = 0.0;        // KL of the projected target and the prediction; categorical only
  std::vector<double> d_outputs;  // unweighted
};
ValueReference value_reference(const ValueCase& row);

}  // namespace stampede
