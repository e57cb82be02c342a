// SPDX-License-Identifier: Apache-2.0
// Long sums over a batch's rows in parts that blocks compute side by side, and the addition of the parts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/hd.h"

namespace stampede {

// Rows [begin, end) of one of `parts` parts.
struct RowPart {
  int begin, end;

  HD RowPart(int rows, int parts, int part)
      : begin(static_cast<int>(static_cast<std::int64_t>(part) * rows / parts)),
        end(static_cast<int>((static_cast<std::int64_t>(part) + 1) * rows / parts)) {}
};

// Adds the parts' sums to what they belong to, parts in ascending order: the first `first_size` of each part's `size`
// sums to `first`, the others to `second`. One call per sum.
struct AddParts {
  const float* sums;  // [parts, size]
  int parts, size, first_size;
  float *first, *second;

  HD void operator()(int i) const {
    float& place = i < first_size ? first[i] : second[i - first_size];
    float total = place;
#ifdef __CUDA_ARCH__
#pragma unroll 8
#endif
    for (int p = 0; p < parts; ++p) total += sums[static_cast<std::ptrdiff_t>(p) * size + i];
    place = total;
  }
};

}  // namespace stampede
