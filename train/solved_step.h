// SPDX-License-Identifier: Apache-2.0
// When a run first reached its threshold in two evaluations in a row.
#pragma once

#include <cstdint>
#include <optional>

namespace stampede {

class SolvedStep {
 public:
  // The threshold is a mean return. The steps are those of a resumed run; -1 = not yet.
  explicit SolvedStep(double threshold, std::int64_t first_reached = -1, std::int64_t solved_at = -1);

  void note(std::int64_t env_step, double mean_return);

  bool solved() const { return solved_at_ >= 0; }
  bool reached() const { return first_reached_ >= 0; }           // by the last evaluation
  std::int64_t first_reached() const { return first_reached_; }  // first of the unbroken row of evaluations, or -1
  std::int64_t solved_at() const { return solved_at_; }          // first of the first two in a row, or -1
  std::optional<std::int64_t> step() const { return solved() ? std::optional(solved_at_) : std::nullopt; }

 private:
  double threshold_;
  std::int64_t first_reached_, solved_at_;
};

}  // namespace stampede
