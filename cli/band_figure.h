// SPDX-License-Identifier: Apache-2.0
// The figure that compares settings: for each the mean evaluation return of its seeds with a confidence band.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "train/seed_band.h"

namespace stampede {

struct NamedBand {
  std::string name;
  int seeds = 1;
  SeedBand band;
};

// From the evaluations of the runs in `runs`, the folders of one setting's seeds. UsageError when one has none.
NamedBand read_band(const std::string& name, const std::vector<std::string>& runs);

// A gnuplot script that draws the bands over each other into its variable `picture`. `terminal`: "png" or "svg".
std::string band_figure_script(const std::vector<NamedBand>& bands, std::string_view terminal);

}  // namespace stampede
