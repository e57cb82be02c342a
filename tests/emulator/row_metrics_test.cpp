// SPDX-License-Identifier: Apache-2.0
// The CUDA block that sums metrics over rows: right to the last bits of a double, the same in any order of threads.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include "agents/row_metrics.h"
#include "agents/row_metrics_blocks.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;

constexpr int kWidth = 3;

std::vector<float> metrics_of(int rows) {
  std::vector<float> metrics(static_cast<std::size_t>(rows) * kWidth);
  std::uint32_t h = 12345;
  for (float& value : metrics) {
    h = h * 1664525u + 1013904223u;
    value = static_cast<float>(h >> 8) * 0x1p-24f - 0.4f;
  }
  return metrics;
}

TEST(RowMetricsBlocks, AddTheSumsOfAllRows) {
  for (const int rows : {1, 31, 33, 257, 9001}) {
    const std::vector<float> host = metrics_of(rows);
    std::vector<double> expected{1.0, 2.0, 3.0};
    add_row_metrics(Stream::cpu(), host.data(), rows, kWidth, expected.data());
    std::vector<double> first;
    for (const simt::Schedule& schedule : simt::all_schedules()) {
      GuardedArray<float> metrics(host);
      GuardedArray<double> totals(std::vector<double>{1.0, 2.0, 3.0});
      simt::run(kWidth, kReduceLanes, 0, schedule, RowMetricsKernel{metrics.data(), rows, totals.data()});
      const std::vector<double> sums = totals.values();
      if (first.empty()) first = sums;
      EXPECT_TRUE(same_bits(sums, first)) << rows << ' ' << schedule.name();
      for (std::size_t k = 0; k < kWidth; ++k) EXPECT_NEAR(sums[k], expected[k], 1e-11 * rows) << rows << ' ' << k;
    }
  }
}

}  // namespace
}  // namespace stampede
