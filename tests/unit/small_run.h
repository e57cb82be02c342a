// SPDX-License-Identifier: Apache-2.0
// Any algorithm as its presets make it, kept small, for tests that go through the table of algorithms.
#pragma once

#include <string>

#include "tests/unit/training_run.h"

namespace stampede {

// Three environments, short rollouts, little replay, narrow layers.
TrainingRun small_run(const AlgorithmEntry& algorithm, const Stream& stream);

// Workers of asynchronous methods are CPU threads.
bool runs_on_cuda(const AlgorithmEntry& algorithm);

}  // namespace stampede
