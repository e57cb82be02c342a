// SPDX-License-Identifier: Apache-2.0
// Trains one run from start or checkpoint to its end: iterations, evaluations, logs, checkpoints, signals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "train/algorithms.h"
#include "train/network_factory.h"
#include "train/run_device.h"
#include "train/run_result.h"
#include "train/signal_guard.h"

namespace stampede {

struct SessionOptions {
  const AlgorithmEntry& algorithm;
  const EnvEntry& env;
  Config config;
  std::string run_dir;                   // exists and is writable
  bool resume = false;                   // continue run_dir/checkpoint.safetensors
  std::optional<double> stop_at;         // end once two consecutive evaluations reach this mean return
  bool show_progress = true;             // progress line and messages on stderr
  int threads = 1;                       // resolved
  const SignalGuard* signals = nullptr;  // polled after every iteration; a signal saves and ends the run
};

// Throws UsageError before any work for values that do not fit, RuntimeError when something fails while running; a
// non-finite loss keeps the last good checkpoint and says so.
RunResult run_session(const SessionOptions& options);

// Start states and dynamics of the evaluation after `rows` rows of a run: new ones each time, the same after a resume.
std::uint64_t evaluation_seed(std::uint64_t seed, std::int64_t rows);

}  // namespace stampede
