// SPDX-License-Identifier: Apache-2.0
// Reads the curves of a run from its CSV files and prepares them for drawing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace stampede {

// Points in the order of the file.
struct Curve {
  std::vector<double> x;  // [points] transitions
  std::vector<double> y;  // [points]
};

// The columns `env_step` and `column` of a CSV file; rows where either is empty are left out, an unfinished last row
// too. RuntimeError with file and line for a missing file or column and for a field that is not a number.
Curve read_curve(const std::string& path, std::string_view column);

// Mean of each point and the up to `window - 1` points before it. window >= 1
Curve moving_mean(const Curve& curve, std::size_t window);

// At most `points` points, evenly spaced by index, the last one always among them. points >= 1
Curve thinned(const Curve& curve, std::size_t points);

}  // namespace stampede
