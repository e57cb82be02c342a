// SPDX-License-Identifier: Apache-2.0
// Fixed pseudo-random inputs of the oracle tests, the same on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "agents/networks/network.h"
#include "kernels/buffer.h"
#include "tests/oracle/autograd_reference.h"

namespace stampede {

// Uniform in [-1, 1).
float random_value(std::uint64_t seed, std::size_t i);
std::vector<float> random_values(std::uint64_t seed, std::size_t count, float scale = 1.0f);

// A batch for a network: parameters without zero biases or tiny heads, inputs, and output derivatives with zero
// padding.
struct NetworkCase {
  NetworkCase(NetworkSpec network_spec, int row_count);

  NetworkInput input() const;

  NetworkSpec spec;
  int rows;
  Buffer<float> parameters, features, d_outputs;
  std::vector<std::int32_t> classes;
};

// Rows inside and outside of the clip intervals, on both sides of advantages and targets.
std::vector<PolicyCase> categorical_cases(int count, int actions);
std::vector<PolicyCase> gaussian_cases(int count, int dimensions);

}  // namespace stampede
