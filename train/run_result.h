// SPDX-License-Identifier: Apache-2.0
// What a finished run reports.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace stampede {

struct RunResult {
  std::string algo, env;
  std::int64_t seed = 0;
  std::int64_t env_steps = 0;  // valid transitions
  std::int64_t gradient_updates = 0;
  double seconds_train = 0.0;  // collecting and learning
  double seconds_eval = 0.0;
  double seconds_total = 0.0;     // from the start of set-up to now
  double eval_return_mean = 0.0;  // of the final policy
  double eval_return_std = 0.0;
  int eval_episodes = 0;
  bool eval_exact = false;                     // computed from a transition table: one "episode" per learner
  std::optional<std::int64_t> solved_at_step;  // first of two consecutive evaluations at the threshold
  std::string device;
  int threads = 1;
  std::string run_dir;
  double peak_memory_mib = 0.0;  // of the whole process on the host, measured
  bool interrupted = false;
};

// "100 episodes", or "64 learners, exact".
std::string evaluated_text(int episodes, bool exact);

// One JSON object in the order above, without a line break. Bytes of a folder's name that are not UTF-8 are replaced.
std::string to_json(const RunResult& result);

// Seeds of one experiment.
struct SeedsResult {
  std::int64_t env_steps = 0;
  double eval_return_mean = 0.0;
  double eval_return_std = 0.0;  // across seeds
  std::int64_t solved = 0;
  double seconds_train = 0.0;  // mean
  double seconds_total = 0.0;  // of the slowest
};
SeedsResult summarize(std::span<const RunResult> results);

struct FailedSeed {
  std::int64_t seed;
  std::string reason;
};

// {"runs": [...], ..., "eval_return_mean": ..., "eval_return_std_across_seeds": ..., ...}: every seed and their mean,
// and why others failed.
std::string to_json(std::span<const RunResult> results, std::span<const FailedSeed> failures = {});

}  // namespace stampede
