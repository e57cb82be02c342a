// SPDX-License-Identifier: Apache-2.0
// Whether fused kernels take the place of step by step work.
#pragma once

#include <cstdint>

namespace stampede {

// kAuto: where device, network and computation allow it. kAlways: what does not allow it is an error.
enum class FusedUse : std::uint8_t { kAuto, kNever, kAlways };

}  // namespace stampede
