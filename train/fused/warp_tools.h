// SPDX-License-Identifier: Apache-2.0
// Small steps that the fused policies share.
#pragma once

#include "kernels/gemm_blocks.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS

DEVICE int lane_index() { return static_cast<int>(threadIdx.x) % 32; }

DEVICE Pack<4> load_pack(const float* from) { return *reinterpret_cast<const Pack<4>*>(from); }

template <int kCount>
DEVICE void activate_all(GemmActivation activation, float (&values)[kCount]) {
  if (activation == GemmActivation::kTanh) {
    UNROLL
    for (float& value : values) value = tanh_of(value);
  } else if (activation == GemmActivation::kRelu) {
    UNROLL
    for (float& value : values) value = activate(value, GemmActivation::kRelu);
  }
}

#endif

}  // namespace stampede
