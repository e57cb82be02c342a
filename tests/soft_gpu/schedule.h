// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "tests/soft_gpu/machine.h"

namespace stampede::soft_gpu {

// Fills `order` with 0, 1, ... in the schedule's order; key tells apart the orders of one shuffled schedule.
void schedule_order(const Schedule& schedule, std::uint64_t key, std::vector<unsigned>& order);

}  // namespace stampede::soft_gpu
