// SPDX-License-Identifier: Apache-2.0
#include "agents/minibatch.h"

#include <string>

#include "kernels/error.h"

namespace stampede {

void check_minibatches(const char* key, int count, std::int64_t rows) {
  if (count >= 1 && count <= rows) return;
  throw UsageError(std::string(key) + ": " + std::to_string(count) + " minibatches cannot be cut from " +
                   std::to_string(rows) + " rows (num_envs x rollout_steps)");
}

}  // namespace stampede
