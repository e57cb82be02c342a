// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/runtime/control.h"

#include "tests/soft_gpu/runtime/runtime.h"

namespace stampede::soft_gpu {

void reset_device() { Runtime::get().reset(); }

std::string last_fault() { return Runtime::get().fault(); }

void set_schedule(const Schedule& schedule) { Runtime::get().context().executor().schedule() = schedule; }

Statistics total_statistics() { return Runtime::get().context().executor().statistics(); }

}  // namespace stampede::soft_gpu
