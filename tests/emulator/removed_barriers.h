// SPDX-License-Identifier: Apache-2.0
// Shows that the emulator would notice if a kernel lacked one of its barriers. Include simt.h before kernel headers.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/emulator/guarded_array.h"

namespace simt {

// launch(schedule) runs kernels and returns their results. Without any one of their barriers, at least one schedule
// must give other bits or an error. Barriers of the file `except` stay: those that order what blocks write for each
// other, which blocks that run one after the other cannot show. Returns the number of barriers.
template <class Launch>
std::size_t expect_barriers_are_needed(const Launch& launch, const std::string& except = "none") {
  const auto expected = launch(Schedule{});
  const std::vector<Location> barriers = barriers_of([&] { launch(Schedule{}); });
  for (const Location& barrier : barriers) {
    if (std::string(barrier.file_name()).find(except) != std::string::npos) continue;
    int noticed = 0;
    for (const Schedule& schedule : all_schedules()) {
      try {
        run_without(barrier, [&] { noticed += !same_bits(launch(schedule), expected); });
      } catch (const Error&) {
        ++noticed;
      }
    }
    EXPECT_GT(noticed, 0) << barrier.file_name() << ":" << barrier.line();
  }
  return barriers.size();
}

}  // namespace simt
