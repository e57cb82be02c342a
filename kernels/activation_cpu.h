// SPDX-License-Identifier: Apache-2.0
// Activations of a vector of neurons and their derivatives, as the CPU's matrix products and layer normalisation apply
// them.
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

// gradient * activation'(.), from the activated value.
template <GemmActivation kActivation>
HD Vector differentiate(Vector value, Vector gradient) {
  if constexpr (kActivation == GemmActivation::kTanh) {
    return gradient * fused(Vector(0.0f) - value, value, Vector(1.0f));
  }
  if constexpr (kActivation == GemmActivation::kRelu) return where_positive(value, gradient);
  return gradient;
}

}  // namespace stampede
