// SPDX-License-Identifier: Apache-2.0
// What tests may ask of the software device beyond CUDA's functions.
#pragma once

#include <string>

#include "tests/soft_gpu/machine.h"

namespace stampede::soft_gpu {

// A device as after a start of the process. Nothing of the old one may be in use.
void reset_device();
// The message of the fault that ended the device's work; empty when none has happened.
std::string last_fault();
// How later work is executed.
void set_schedule(const Schedule& schedule);
// Of everything executed since the start or the last reset.
Statistics total_statistics();

}  // namespace stampede::soft_gpu
