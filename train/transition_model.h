// SPDX-License-Identifier: Apache-2.0
// The transition table of a tabular environment, as the agents' exact methods take it.
#pragma once

#include "agents/tabular/transition_table.h"
#include "sim/registry.h"

namespace stampede {

// Throws UsageError, naming the environments that have one, where the environment has no table.
void check_tabular(const EnvRegistry& registry, const EnvEntry& entry);

// For an entry with transitions. Throws UsageError for bad parameters.
TransitionTable transition_table(const EnvEntry& entry, const EnvParameters& parameters);

}  // namespace stampede
