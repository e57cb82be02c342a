// SPDX-License-Identifier: Apache-2.0
// The options of temporal-difference and Monte Carlo control with tables or linear features.
#pragma once

#include <cstdint>

#include "kernels/math.h"

namespace stampede {

// What stands for the value of the next state: Sutton & Barto 2018, equations 6.7 (SARSA), 6.8 (Q-learning), 6.9
// (Expected SARSA); Haarnoja et al. 2017, equation 5 (soft); section 5.4 (Monte Carlo control).
enum class TdTarget : std::uint8_t { kMaximum, kSampled, kExpected, kSoft, kReturn };

inline constexpr int kMaxTdActions = 32;

struct TdConfig {
  TdTarget target = TdTarget::kMaximum;
  float gamma = 0.99f;
  int n_step = 1;
  float lambda = 0.0f;         // of eligibility traces; 0 = none
  bool replacing = false;      // traces, instead of accumulating
  bool double_q = false;       // two estimators, van Hasselt 2010
  float initial_value = 0.0f;  // of every action value
  float bonus = 0.0f;          // beta / sqrt(visits of (s, a)) is added to rewards: Strehl & Littman 2008
  float rate_power = 0.0f;     // the learning rate is divided by visits^rate_power
  int planning_steps = 0;      // updates from the model after each step: Dyna-Q, section 8.2
  int model_outcomes = 4;      // of a pair that the model tells apart by their frequencies; 1 = the latest alone
  bool first_visit = false;    // Monte Carlo: only a pair's first visit in an episode counts
  int episodes = 0;            // each learner stops learning after that many; 0 = never
  int return_window = 100;     // the last of those episodes, whose mean return is reported

  HD bool counts_visits() const { return bonus > 0.0f || rate_power > 0.0f; }
  // One-step targets without any other option.
  bool is_one_step() const {
    return target != TdTarget::kReturn && n_step == 1 && lambda == 0.0f && !double_q && !counts_visits() &&
           planning_steps == 0;
  }
};

// A rate that follows the episodes a learner has finished, or stays at `start`.
struct Anneal {
  float start = 0.0f, end = 0.0f;
  float inverse_episodes = 0.0f;  // 1 / episodes until the end is reached; 0 = constant
  bool exponential = false;       // geometric instead of linear; needs positive ends

  HD float at(std::int32_t episodes) const {
    if (inverse_episodes == 0.0f) return start;
    const float progress = clamp(static_cast<float>(episodes) * inverse_episodes, 0.0f, 1.0f);
    if (exponential) return start * exp_of(progress * log_of(end / start));
    return fused(end - start, progress, start);
  }
};

}  // namespace stampede
