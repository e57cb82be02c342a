// SPDX-License-Identifier: Apache-2.0
// What follows a product that a library computed, where the library cannot do it itself; element by element.
#pragma once

#include "kernels/gemm.h"

namespace stampede {

// y[r, o] = activation(b[o] + y[r, o]) of a LinearForward whose y holds the products.
void add_bias_and_activate(const Stream& stream, const LinearForward& op);

// dx[r, k] *= activation'(x[r, k]) of a LinearBackwardData whose dx holds the products.
void multiply_by_derivative(const Stream& stream, const LinearBackwardData& op);

// target[i] += added[i] for i in [0, count).
void add_to(const Stream& stream, float* target, const float* added, int count);

void fill(const Stream& stream, float* target, float value, int count);

}  // namespace stampede
