// SPDX-License-Identifier: Apache-2.0
// Tables on a CPU: a tile of learners goes through each stage of a row together, in loops that vectorise. The bits are
// those of td_step()'s learners one by one.
#pragma once

#include "agents/linear/td_steps.h"

namespace stampede {

// Whether step_tables_on_cpu() is compiled for this number of actions.
bool tables_have_tiles(int actions);

// td_step() for tables of that many actions. CPU streams only.
void step_tables_on_cpu(const Stream& stream, const OneHot& table, const TdProblem& problem, const RingView& ring,
                        const TdRow& row);

}  // namespace stampede
