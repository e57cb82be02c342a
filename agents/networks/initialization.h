// SPDX-License-Identifier: Apache-2.0
// Random starting values of one weight tensor, the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agents/networks/network_spec.h"

namespace stampede {

// gain times a uniformly distributed (semi-)orthogonal matrix (Saxe et al. 2014): Gram-Schmidt in double on normal
// draws, so rows of a wide tensor and columns of a tall one are orthonormal. `number` is the tensor's in its network.
void initialize_orthogonal(const TensorLayout& tensor, std::uint64_t seed, std::size_t number, double gain,
                           float* parameters);

// Uniform in [-bound, bound).
void initialize_uniform(const TensorLayout& tensor, std::uint64_t seed, std::size_t number, double bound,
                        float* parameters);

}  // namespace stampede
