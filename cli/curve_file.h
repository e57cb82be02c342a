// SPDX-License-Identifier: Apache-2.0
// Evaluation curves of several settings, each on several seeds, as bench/learning writes them to one JSON file:
// {"settings": [{"env": E, "setting": NAME, "seeds": [{"env_step": [...], "return_mean": [...]}, ...]}, ...]}.
#pragma once

#include <string>
#include <vector>

#include "train/learning_curve.h"

namespace stampede {

struct SettingCurves {
  std::string env, name;
  std::vector<Curve> seeds;
};

bool is_curve_file(const std::string& path);

// UsageError when there is no such file, RuntimeError with the path when it does not look like that.
std::vector<SettingCurves> read_curve_file(const std::string& path);

struct CurveChoice {
  std::string env;                 // empty: the only one there is
  std::vector<std::string> names;  // in this order; empty: all
};
// UsageError that names what there is, where something else or nothing was chosen.
std::vector<SettingCurves> choose_curves(const std::vector<SettingCurves>& settings, const CurveChoice& choice);

}  // namespace stampede
