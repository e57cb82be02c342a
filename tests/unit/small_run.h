// SPDX-License-Identifier: Apache-2.0
// Any algorithm as its presets make it, kept small, for tests that go through the table of algorithms.
#pragma once

#include <string>

#include "tests/unit/training_run.h"

namespace stampede {

// Three environments, short rollouts, little replay. Of the keys in `more`, those that the algorithm has apply too.
TrainingRun small_run(const AlgorithmEntry& algorithm, const Stream& stream, const Keys& more = {});

// Workers of asynchronous methods are CPU threads.
bool runs_on_cuda(const AlgorithmEntry& algorithm);

}  // namespace stampede
