// SPDX-License-Identifier: Apache-2.0
// What LibTorch's autograd makes, in double, of continuous distributions and policy surrogates as their papers write
// them. No LibTorch header is needed to use it.
#pragma once

#include <vector>

#include "agents/policy_layout.h"

namespace stampede {

// One row of a policy head over `size` action dimensions.
struct ContinuousCase {
  ContinuousPolicy policy;
  int size, bins;
  float initial_log_sigma;
  std::vector<float> outputs, raw;
};
struct ContinuousReference {
  double log_prob = 0.0, entropy = 0.0;
  std::vector<double> d_outputs;  // of d_log_prob * log_prob + d_entropy * entropy
};
ContinuousReference continuous_reference(const ContinuousCase& row, double d_log_prob, double d_entropy);

struct SurrogateReference {
  double loss = 0.0, d_log_prob = 0.0;
};
// -A log pi.
SurrogateReference score_reference(double log_prob, double advantage);
// -A ratio + beta ((ratio - 1) - log ratio).
SurrogateReference penalty_reference(double log_prob, double old_log_prob, double advantage, double beta);

}  // namespace stampede
