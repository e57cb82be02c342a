// SPDX-License-Identifier: Apache-2.0
// A layer's activation as products know it.
#pragma once

#include "agents/networks/network_spec.h"
#include "kernels/gemm.h"

namespace stampede {

inline GemmActivation gemm_activation(Activation activation) {
  switch (activation) {
    case Activation::kTanh:
      return GemmActivation::kTanh;
    case Activation::kRelu:
      return GemmActivation::kRelu;
    case Activation::kLinear:
      break;
  }
  return GemmActivation::kLinear;
}

}  // namespace stampede
