// SPDX-License-Identifier: Apache-2.0
// Writes finished training episodes (episodes.csv) and evaluations (evaluations.csv) of a run.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "train/csv_writer.h"

namespace stampede {

// RuntimeError when a file cannot be written; `resume_step` as for CsvWriter.
class EpisodeLog {
 public:
  explicit EpisodeLog(const std::string& folder, std::optional<std::int64_t> resume_step = {})
      : file_(folder + "/episodes.csv", {"return", "length"}, resume_step) {}

  // `env_step`: transitions seen when the episode ended; `length` in steps.
  void write(std::int64_t env_step, double episode_return, std::int64_t length) {
    file_.write(env_step, std::array{episode_return, static_cast<double>(length)});
  }
  void flush() { file_.flush(); }

 private:
  CsvWriter file_;
};

class EvaluationLog {
 public:
  explicit EvaluationLog(const std::string& folder, std::optional<std::int64_t> resume_step = {})
      : file_(folder + "/evaluations.csv", {"return_mean", "return_std", "episodes"}, resume_step) {}

  void write(std::int64_t env_step, double return_mean, double return_std, std::int64_t episodes) {
    file_.write(env_step, std::array{return_mean, return_std, static_cast<double>(episodes)});
  }
  void flush() { file_.flush(); }

 private:
  CsvWriter file_;
};

}  // namespace stampede
