// SPDX-License-Identifier: Apache-2.0
#include "agents/row_metrics.h"

#include <cstddef>

#include "agents/row_metrics_blocks.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// CUDA has RowMetricsKernel. Rows go to eight sums in turn, which are added pairwise: a shape that vectorises and
// depends on the rows alone.
struct AddMetricsOp {
  const float* metrics;
  int rows;
  double* totals;

  void operator()(int k) const {
    const float* const column = metrics + static_cast<std::size_t>(k) * static_cast<std::size_t>(rows);
    double sum[8] = {};
    int r = 0;
    for (; r + 8 <= rows; r += 8) {
      for (int j = 0; j < 8; ++j) sum[j] += static_cast<double>(column[r + j]);
    }
    for (int j = 0; r < rows; ++r, ++j) sum[j] += static_cast<double>(column[r]);
    totals[k] += ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
  }
};

struct AddGroupsOp {
  double* groups;
  int count, width;
  double* totals;

  HD void operator()(int k) const {
    for (int g = 0; g < count; ++g) {
      totals[k] += groups[g * width + k];
      groups[g * width + k] = 0.0;
    }
  }
};

}  // namespace

void add_row_metrics(const Stream& stream, const float* metrics, int rows, int width, double* totals) {
#ifdef __CUDACC__
  if (stream.is_cuda()) {
    return launch_blocks(stream, static_cast<unsigned>(width), kReduceLanes, 0,
                         RowMetricsKernel{metrics, rows, totals});
  }
#endif
  for_each_index_on_cpu(stream, width, AddMetricsOp{metrics, rows, totals});
}

void add_group_metrics(const Stream& stream, double* groups, int count, int width, double* totals) {
  for_each_index(stream, width, AddGroupsOp{groups, count, width, totals});
}

}  // namespace stampede
