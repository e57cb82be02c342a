// SPDX-License-Identifier: Apache-2.0
// Where a run computes: its device and its threads.
#pragma once

#include "kernels/stream.h"
#include "train/algorithms.h"
#include "train/config.h"

namespace stampede {

Stream make_stream(const Config& config, int threads);

// threads of the configuration; when that is 0, all cores, or one where a gradient step is too little work to share.
int resolve_threads(const AlgorithmEntry& algorithm, const Config& config);

int available_cores();

}  // namespace stampede
