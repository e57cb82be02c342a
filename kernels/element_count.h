// SPDX-License-Identifier: Apache-2.0
// The number of elements of a matrix as the size of one launch.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "kernels/error.h"

namespace stampede {

// rows * columns. Throws RuntimeError where no launch can number so many: a GPU has the memory for them.
inline int element_count(int rows, int columns) {
  const std::int64_t count = std::int64_t{rows} * columns;
  constexpr std::int64_t kMost =
      std::numeric_limits<std::int32_t>::max() - 1024;  // the last block may be a part of one
  if (count <= kMost) return static_cast<int>(count);
  throw RuntimeError("a layer of " + std::to_string(columns) + " columns for " + std::to_string(rows) +
                     " rows is more than one launch can number; use fewer environments or smaller minibatches");
}

}  // namespace stampede
