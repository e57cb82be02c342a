// SPDX-License-Identifier: Apache-2.0
// From the text of a kernel to instructions that the machine executes.
#pragma once

#include "tests/soft_gpu/module.h"
#include "tests/soft_gpu/syntax.h"

namespace stampede::soft_gpu {

// Functions that the kernel calls become part of it. Throws Fault for an instruction that the machine does not know.
void decode(const ModuleText& module, const FunctionText& entry, Kernel& kernel);

}  // namespace stampede::soft_gpu
