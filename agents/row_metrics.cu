// SPDX-License-Identifier: Apache-2.0
#include "agents/row_metrics.h"

#include <cstddef>

#include "kernels/launch.h"

namespace stampede {
namespace {

struct AddMetricsOp {
  const float* metrics;
  int rows, width;
  double* totals;

  HD void operator()(int k) const {
    double sum = 0.0;
    const float* value = metrics + k;
    for (int r = 0; r < rows; ++r, value += width) sum += static_cast<double>(*value);
    totals[k] += sum;
  }
};

}  // namespace

void add_row_metrics(const Stream& stream, const float* metrics, int rows, int width, double* totals) {
  for_each_index(stream, width, AddMetricsOp{metrics, rows, width, totals});
}

}  // namespace stampede
