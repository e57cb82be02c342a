// SPDX-License-Identifier: Apache-2.0
// Configuration keys of features of observations, for tables and linear methods, and what they are read into.
#pragma once

#include "agents/linear/features.h"
#include "kernels/space.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList feature_keys();

// Throws UsageError unless the observation is discrete.
LinearFeatures tabular_features(const Space& observation);
// Throws UsageError for features that do not fit the observation, and unbounded dimensions without feature_low and
// feature_high.
LinearFeatures linear_features(const Config& config, const Space& observation);
CountCells count_cells(const Config& config, const Space& observation);

}  // namespace stampede
