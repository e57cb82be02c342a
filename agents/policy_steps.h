// SPDX-License-Identifier: Apache-2.0
// The device steps of a stochastic policy with a value head: choosing actions, storing values.
#pragma once

#include "kernels/philox.h"
#include "kernels/space.h"
#include "replay/returns.h"
#include "replay/trajectory_ring.h"

namespace stampede {

// Where a policy finds itself in an output row.
struct PolicyLayout {
  Space action;
  int output_stride = 0;
  int policy_column = 0;  // logits or means
  int value_column = 0;
  const float* log_sigma = nullptr;  // [A] in the parameter block, continuous only
};

enum class ActionMode { kSample, kGreedy };

// Actions of rows [begin, begin + rows) from their outputs [rows, output_stride]: into records (clipped to the action
// bounds when continuous), and unless extra is null log-probability, value and the unclipped sample. Stream-ordered.
struct PolicyRows {
  const float* outputs;
  std::uint32_t* records;  // [N, record words]
  float* extra;            // [N, extra_size]
  int extra_size;
  RecordLayout record;
  int begin, rows;
};
void choose_actions(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows, const RandomKey& key,
                    ActionMode mode);
// Values alone, of the observations in the head slot.
void store_values(const Stream& stream, const PolicyLayout& layout, const PolicyRows& rows);

}  // namespace stampede
