// SPDX-License-Identifier: Apache-2.0
// Curves of several seeds as one: their mean and a bootstrap confidence band of it.
#pragma once

#include <vector>

#include "train/learning_curve.h"

namespace stampede {

struct SeedBand {
  std::vector<double> x;          // [points] mean over seeds of their transitions
  std::vector<double> mean;       // [points]
  std::vector<double> low, high;  // [points] 2.5 and 97.5 % of the means of 2000 resamples of the seeds
};

// Point k of the band is made of point k of every curve, up to the shortest one's end. The resampling draws are always
// the same, so the same curves give the same band. curves: at least one
SeedBand band_of_seeds(const std::vector<Curve>& curves);

}  // namespace stampede
