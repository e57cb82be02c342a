// SPDX-License-Identifier: Apache-2.0
// Dropout of hidden units as a change of parameters, so that any network acts with it: Gal & Ghahramani 2016
// (arXiv:1506.02142), section 5.3, Thompson sampling with one mask at a time.
#pragma once

#include "agents/networks/network_spec.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace stampede {

// parameters [P] in place: every hidden unit is silent with probability `rate` in [0, 1) and 1 / (1 - rate) times as
// strong otherwise, the same for all rows that are passed forward with them. Stream-ordered.
void drop_units(const Stream& stream, const NetworkSpec& spec, float rate, const RandomKey& key, float* parameters);

}  // namespace stampede
