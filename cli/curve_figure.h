// SPDX-License-Identifier: Apache-2.0
// The figure of a run's learning curves: training return, evaluation return, episode duration.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "train/learning_curve.h"

namespace stampede {

// What is drawn of one run. Curves without points are left out of the picture.
struct RunCurves {
  std::string name;
  Curve episode_return;   // one point per training episode
  Curve episode_length;   // [steps]
  Curve evaluation_mean;  // one point per evaluation
  Curve evaluation_deviation;
};

// From episodes.csv and evaluations.csv in the folder of a run, or from metrics.csv where there is no episodes.csv.
// UsageError when `folder` is none or holds no curves; RuntimeError when a file is damaged.
RunCurves read_run_curves(const std::string& folder);

// A gnuplot script that draws the runs over each other into its variable `picture`. `terminal`: "png" or "svg".
std::string curve_figure_script(const std::vector<RunCurves>& runs, std::string_view terminal);

}  // namespace stampede
