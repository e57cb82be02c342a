// SPDX-License-Identifier: Apache-2.0
// Makes RLtools' Python package train on RLtools' own C++ Pendulum instead of a Python one.
#pragma once

#include <rl_tools/rl/environments/pendulum/operations_generic.h>

template <typename T, typename TI>
using ENVIRONMENT_FACTORY =
    rl_tools::rl::environments::Pendulum<rl_tools::rl::environments::pendulum::Specification<T, TI>>;
