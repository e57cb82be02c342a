// SPDX-License-Identifier: Apache-2.0
// Sums per-row metrics of a tile in an order that depends on the number of rows and the kind of device alone.
#pragma once

#include "kernels/stream.h"

namespace stampede {

// totals[k] += sum over r of metrics[k, r]; metrics [width, rows]. Stream-ordered.
void add_row_metrics(const Stream& stream, const float* metrics, int rows, int width, double* totals);

// totals[k] += sum over g of groups[g, k], in ascending order; groups [count, width] are cleared. Stream-ordered.
void add_group_metrics(const Stream& stream, double* groups, int count, int width, double* totals);

}  // namespace stampede
