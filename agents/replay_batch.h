// SPDX-License-Identifier: Apache-2.0
// The rows [observation, action] that critics of continuous actions read, gathered from a replay memory.
#pragma once

#include "agents/action_code.h"
#include "replay/transitions.h"

namespace stampede {

// Rows of critic inputs: [observation, coded action, zero padding].
struct CriticRows {
  float* features;  // [rows, stride]
  int stride;
  ActionCode code;

  static CriticRows take(int rows, int stride, const ActionCode& code, Arena& arena);
};

// Row k gets the observation at flat ring index indices[k] and the action that was executed there. Stream-ordered.
void gather_state_actions(const Stream& stream, const RingView& ring, const std::int32_t* indices, int rows,
                          const CriticRows& out);
// The same without the action, whose columns are left as they are for the step that chooses it. Stream-ordered.
void gather_states(const Stream& stream, const RingView& ring, const std::int32_t* indices, int rows,
                   const CriticRows& out);

}  // namespace stampede
