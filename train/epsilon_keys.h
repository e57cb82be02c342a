// SPDX-License-Identifier: Apache-2.0
// Configuration keys of final epsilons that differ between environments, and the epsilon of a row.
#pragma once

#include "agents/epsilon_greedy.h"
#include "train/shared_keys.h"

namespace stampede {

KeyList final_epsilon_keys();  // epsilon_ends, epsilon_shares; beside epsilon_keys()

// Of a schedule of the share that environments have in common: those with final values of their own [N] go the same
// part of the way to theirs. final_values: of FinalEpsilons, null without.
Epsilon epsilon_at(const Schedule& shared, std::int64_t row, const float* final_values);

}  // namespace stampede
