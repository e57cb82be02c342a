// SPDX-License-Identifier: Apache-2.0
// What LibTorch's autograd makes, in double, of a Gaussian whose deviations are those of state-dependent noise. No
// LibTorch header is needed to use it.
#pragma once

#include <vector>

namespace stampede {

// Rows of features z [rows, features], means and actions [rows, actions]; log_sigma [features, actions].
struct StateNoiseCase {
  int rows, features, actions;
  std::vector<float> z, means, action, log_sigma;
};
// Values by row, and derivatives of the sum over rows of d_log_prob * log_prob + d_entropy * entropy.
struct StateNoiseReference {
  std::vector<double> log_prob, entropy;
  std::vector<double> d_means, d_log_sigma, d_z;
};
StateNoiseReference state_noise_reference(const StateNoiseCase& c, double d_log_prob, double d_entropy);

}  // namespace stampede
