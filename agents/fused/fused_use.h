// SPDX-License-Identifier: Apache-2.0
// Whether fused kernels take the place of step by step work, and what they compute in.
#pragma once

#include <cstdint>

namespace stampede {

// kAuto: where device, network and computation allow it. kAlways: what does not allow it is an error.
enum class FusedUse : std::uint8_t { kAuto, kNever, kAlways };

// Of a network's products in fused kernels. kBf16: tensor cores, bf16 weights and activations, fp32 sums.
enum class Precision : std::uint8_t { kFp32, kBf16 };

}  // namespace stampede
