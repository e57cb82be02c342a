// SPDX-License-Identifier: Apache-2.0
// How many indices one launch can have, and the number of elements of a matrix as such a size.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "kernels/error.h"

namespace stampede {

// The last block or chunk may be a part of one, and its end must be a number too.
inline constexpr std::int64_t kMostIndices = std::numeric_limits<std::int32_t>::max() - 1024;

// rows * columns. Throws RuntimeError where no launch can number so many: a GPU has the memory for them.
inline int element_count(int rows, int columns) {
  const std::int64_t count = std::int64_t{rows} * columns;
  if (count <= kMostIndices) return static_cast<int>(count);
  throw RuntimeError("a layer of " + std::to_string(columns) + " columns for " + std::to_string(rows) +
                     " rows is more than one launch can number; use fewer environments or smaller minibatches");
}

}  // namespace stampede
