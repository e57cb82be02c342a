// SPDX-License-Identifier: Apache-2.0
// Finds the few lanes of a range that have something to do, without a branch that depends on how they lie.
#pragma once

#include <cstdint>

namespace stampede {

// Room that list_set_lanes needs behind the last lane it lists.
inline constexpr int kLaneListSlack = 16;

// Writes first + k for every k in [0, n) with flags[k] != 0, ascending, to lanes [n + kLaneListSlack]; flags are 0
// or 1. Returns how many.
int list_set_lanes(const std::int32_t* flags, int n, int first, std::int32_t* lanes);

}  // namespace stampede
