// SPDX-License-Identifier: Apache-2.0
// The range that users may give for the start of an episode.
#pragma once

#include <string>

#include "kernels/error.h"

namespace stampede {

// Throws UsageError when the lower end is above the upper one, as Gymnasium does.
inline void check_reset_range(float low, float high) {
  if (low <= high) return;
  throw UsageError("env.reset_low: " + std::to_string(low) + " is above env.reset_high, " + std::to_string(high));
}

}  // namespace stampede
