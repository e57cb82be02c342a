// SPDX-License-Identifier: Apache-2.0
#include "train/solved_step.h"

#include <cmath>

namespace stampede {

SolvedStep::SolvedStep(double threshold, std::int64_t first_reached, std::int64_t solved_at)
    : threshold_(threshold), first_reached_(first_reached), solved_at_(solved_at) {}

void SolvedStep::note(std::int64_t env_step, double mean_return) {
  if (!std::isfinite(threshold_) || !(mean_return >= threshold_)) {
    first_reached_ = -1;
  } else if (!reached()) {
    first_reached_ = env_step;
  } else if (!solved()) {
    solved_at_ = first_reached_;
  }
}

}  // namespace stampede
