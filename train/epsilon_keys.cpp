// SPDX-License-Identifier: Apache-2.0
#include "train/epsilon_keys.h"

namespace stampede {

KeyList final_epsilon_keys() {
  using enum ConfigType;
  return {
      {.name = "epsilon_ends",
       .type = kRealList,
       .default_text = "[]",
       .min = 0,
       .max = 1,
       .help = "final epsilons, one of which each environment draws; [] = epsilon_end for all"},
      {.name = "epsilon_shares",
       .type = kRealList,
       .default_text = "[]",
       .min = 0,
       .max = 1e9,
       .help = "how often each of epsilon_ends is drawn; [] = equally"},
  };
}

Epsilon epsilon_at(const Schedule& shared, std::int64_t row, const float* final_values) {
  const double now = shared.at(row), way = shared.end - shared.start;
  const double progress = shared.kind == ScheduleKind::kConstant || way == 0.0 ? 1.0 : (now - shared.start) / way;
  return {static_cast<float>(now), final_values, static_cast<float>(shared.start), static_cast<float>(progress)};
}

}  // namespace stampede
