// SPDX-License-Identifier: Apache-2.0
// A scalar that changes with the rows collected so far.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace stampede {

enum class ScheduleKind { kConstant, kLinear, kExponential };

// From start to end over `rows` rows, then end. Exponential interpolates geometrically and needs positive ends.
struct Schedule {
  ScheduleKind kind = ScheduleKind::kConstant;
  double start = 0.0, end = 0.0;
  std::int64_t rows = 1;

  double at(std::int64_t row) const {
    const double progress =
        std::clamp(static_cast<double>(row) / static_cast<double>(std::max<std::int64_t>(1, rows)), 0.0, 1.0);
    switch (kind) {
      case ScheduleKind::kConstant:
        return start;
      case ScheduleKind::kLinear:
        return start + (end - start) * progress;
      case ScheduleKind::kExponential:
        return start * std::pow(end / start, progress);
    }
    return start;
  }
  // Where it stays.
  double last() const { return kind == ScheduleKind::kConstant ? start : end; }
};

}  // namespace stampede
