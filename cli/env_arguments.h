// SPDX-License-Identifier: Apache-2.0
// The environment parameters on a command line: `--param name=value` and `env.name=value`.
#pragma once

#include "cli/argument_parser.h"
#include "sim/registry.h"

namespace stampede {

// --param first, then env.*; UsageError for any other assignment. The values are checked where they are applied.
EnvParameters env_parameters(const Arguments& arguments, const EnvEntry& entry);

}  // namespace stampede
