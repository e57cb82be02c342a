// SPDX-License-Identifier: Apache-2.0
// Activations of a vector of neurons, as the CPU's matrix products and layer normalisation apply them.
#pragma once

#include "kernels/gemm.h"
#include "kernels/simd.h"

namespace stampede {

template <GemmActivation kActivation>
HD Vector activate(Vector x) {
  if constexpr (kActivation == GemmActivation::kTanh) return rational_tanh(x);
  if constexpr (kActivation == GemmActivation::kRelu) return at_least(x, Vector(0.0f));
  return x;
}

}  // namespace stampede
