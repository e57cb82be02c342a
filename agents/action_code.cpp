// SPDX-License-Identifier: Apache-2.0
#include "agents/action_code.h"

#include <cmath>
#include <string>

#include "kernels/error.h"

namespace stampede {

ActionCode action_code(const Space& action) {
  ActionCode code;
  code.discrete = action.is_discrete();
  code.size = code.discrete ? action.count : action.size;
  for (int j = 0; !code.discrete && j < action.size; ++j) {
    if (!std::isfinite(action.low[j]) || !std::isfinite(action.high[j]) || action.low[j] >= action.high[j]) {
      throw UsageError("dimension " + std::to_string(j) +
                       " of the actions has no bounds, which scaled actions in [-1, 1] need");
    }
    code.low[j] = action.low[j];
    code.high[j] = action.high[j];
  }
  return code;
}

}  // namespace stampede
