// SPDX-License-Identifier: Apache-2.0
// Operands of matrix products whose padding shows when it is read. Include simt.h before kernel headers.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/gemm.h"
#include "tests/emulator/guarded_array.h"

namespace stampede::product_rig {

using simt::GuardedArray;

// Uniform in [-1, 1); columns from `used` on are NaN, so that reading padding shows.
inline std::vector<float> matrix(int rows, int stride, int used, std::uint32_t seed) {
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(stride), NAN);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < used; ++c) {
      seed = seed * 1664525u + 1013904223u;
      values[static_cast<std::size_t>(r * stride + c)] = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
    }
  }
  return values;
}

inline int padded(int n) { return (n + 15) / 16 * 16; }

struct Shape {
  int rows, in, out_stride;
};

class ForwardCase {
 public:
  explicit ForwardCase(Shape shape)
      : shape_(shape),
        stride_(padded(shape.in) + 16),
        x_(matrix(shape.rows, stride_, shape.in, 1)),
        w_(matrix(shape.in, shape.out_stride, shape.out_stride, 2)),
        b_(matrix(1, shape.out_stride, shape.out_stride, 3)) {}

  LinearForward op(GuardedArray<float>& y, GemmActivation activation) {
    return {x_.data(),   stride_,   w_.data(),         b_.data(), y.data(), shape_.out_stride + 16,
            shape_.rows, shape_.in, shape_.out_stride, activation};
  }
  GuardedArray<float> output() const {
    return GuardedArray<float>(static_cast<std::size_t>(shape_.rows * (shape_.out_stride + 16)), -9.0f);
  }
  const float* x() { return x_.data(); }
  int stride() const { return stride_; }

 private:
  Shape shape_;
  int stride_;
  GuardedArray<float> x_, w_, b_;
};

}  // namespace stampede::product_rig
