// SPDX-License-Identifier: Apache-2.0
// Sampled rows as transitions: where they start, what n steps returned, and where the value that follows is read.
#pragma once

#include "kernels/arena.h"
#include "replay/uniform_sampler.h"

namespace stampede {

struct Transitions {
  std::int32_t* indices = nullptr;       // [rows], flat ring index of the observation and action
  std::int32_t* next_indices = nullptr;  // [rows], of the bootstrap observation
  float* rewards = nullptr;              // [rows], folded over n steps
  float* discounts = nullptr;            // [rows], gamma^k, 0 after a termination

  static Transitions take(int rows, Arena& arena);
  Transitions from(int row) const { return {indices + row, next_indices + row, rewards + row, discounts + row}; }
};

// Samples `begin` ... `begin + rows - 1` of the update that the sampler's key names into the first rows of `out`.
// Stream-ordered.
void sample_transitions(const Stream& stream, const UniformSampler& sampler, float gamma, int begin, int rows,
                        const Transitions& out);

// The same for rows that were sampled before: fills the rest of `out` from out.indices. Stream-ordered.
void fold_transitions(const Stream& stream, const RingView& ring, int n_step, float gamma, int rows,
                      const Transitions& out);

}  // namespace stampede
