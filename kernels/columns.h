// SPDX-License-Identifier: Apache-2.0
// Columns that hidden layers and output rows have in common: copied forward, their gradients added on the way back.
#pragma once

#include "kernels/gemm.h"

namespace stampede {

// Row-major matrices, all numbers but rows multiples of 16.
struct ColumnRange {
  int rows, columns;
  int hidden_stride, output_stride;
};

// outputs[r, c] = hidden[r, c]. Stream-ordered.
void copy_columns(const Stream& stream, const ColumnRange& range, const float* hidden, float* outputs);

// d_hidden[r, c] += activation'(.) d_outputs[r, c], from the activated value in hidden. Stream-ordered.
void add_through_activation(const Stream& stream, const ColumnRange& range, GemmActivation activation,
                            const float* d_outputs, const float* hidden, float* d_hidden);

}  // namespace stampede
