// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/toy_environments.h"

namespace stampede {

EnvRegistry registry_with_toys() {
  EnvRegistry registry = builtin_environments();
  register_environment<EpisodeClock>(registry);
  register_environment<ConstantReward>(registry);
  register_environment<Bandit>(registry);
  register_environment<SquaredAction>(registry);
  return registry;
}

}  // namespace stampede
