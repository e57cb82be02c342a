// SPDX-License-Identifier: Apache-2.0
// Actions as actors and critics see them: a box scaled to [-1, 1] in every dimension, a discrete action as one-hot.
#pragma once

#include <cstdint>

#include "kernels/math.h"
#include "kernels/space.h"

namespace stampede {

struct ActionCode {
  bool discrete = false;
  int size = 1;  // floats of a coded action: dimensions of a box, or number of actions
  float low[kMaxSpaceSize] = {}, high[kMaxSpaceSize] = {};

  // coded [size] to the words an environment reads. A one-hot row means its largest entry.
  HD void write(const float* coded, std::uint32_t* record) const {
    if (discrete) {
      int best = 0;
      for (int j = 1; j < size; ++j) best = coded[j] > coded[best] ? j : best;
      record[0] = static_cast<std::uint32_t>(best);
      return;
    }
    for (int j = 0; j < size; ++j) write_dimension(j, coded[j], record);
  }
  // Dimension j of a box.
  HD void write_dimension(int j, float coded, std::uint32_t* record) const {
    const float half = 0.5f * (high[j] - low[j]);
    record[j] = float_bits(clamp(fused(half, coded, low[j] + half), low[j], high[j]));
  }

  // What was executed, coded [size].
  HD void read(const std::uint32_t* record, float* coded) const {
    if (discrete) {
      for (int j = 0; j < size; ++j) coded[j] = record[0] == static_cast<std::uint32_t>(j) ? 1.0f : 0.0f;
      return;
    }
    for (int j = 0; j < size; ++j) {
      const float half = 0.5f * (high[j] - low[j]);
      coded[j] = clamp((bits_float(record[j]) - low[j] - half) / half, -1.0f, 1.0f);
    }
  }
};

// Throws UsageError for a box without bounds.
ActionCode action_code(const Space& action);

}  // namespace stampede
