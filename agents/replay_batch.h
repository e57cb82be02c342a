// SPDX-License-Identifier: Apache-2.0
// Sampled transitions of one update, and the rows [observation, action] that critics of continuous actions read.
#pragma once

#include "agents/action_code.h"
#include "replay/uniform_sampler.h"

namespace stampede {

struct ReplayBatch {
  std::int32_t* indices = nullptr;       // [B], flat ring index of the observation
  std::int32_t* next_indices = nullptr;  // [B], of the bootstrap observation
  float* rewards = nullptr;              // [B], folded over n steps
  float* discounts = nullptr;            // [B], gamma^k, 0 after a termination

  static ReplayBatch take(int batch, Arena& arena);
  ReplayBatch from(int begin) const {
    return {indices + begin, next_indices + begin, rewards + begin, discounts + begin};
  }
};

// Samples `begin` ... `begin + rows - 1` of the update that the sampler's key names into the first rows of `out`.
// Stream-ordered.
void sample_replay(const Stream& stream, const UniformSampler& sampler, float gamma, int begin, int rows,
                   const ReplayBatch& out);

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

// Throws UsageError when a batch is larger than the ring, or the ring too short for n-step transitions.
void check_batch(const RingShape& shape, int batch_size, int n_step);

}  // namespace stampede
