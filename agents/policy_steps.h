// SPDX-License-Identifier: Apache-2.0
// The device steps of a stochastic policy with a value head: choosing actions, storing values.
#pragma once

#include "agents/policy_layout.h"
#include "replay/returns.h"
#include "replay/trajectory_ring.h"

namespace stampede {

enum class ActionMode { kSample, kGreedy };

// Actions of rows [begin, begin + rows) from their outputs [rows, output_stride]: into records (clipped to the action
// bounds when continuous), and unless extra is null log-probability, value and the unclipped sample. Stream-ordered.
struct PolicyRows {
  const float* outputs;
  LogSigmas log_sigma;     // kGaussian
  const float* noise;      // [rows, 16], added to a Gaussian's means in place of noise drawn here; null: none is given
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

// A rollout's rows [begin, begin + rows), flat in the ring, under newer outputs [rows, output_stride]:
// pi(action) / pi_old(action) goes to ratios [T * N] unless null, and what `store` says to the ring. Rows of the head
// slot have neither ratio nor log-probability. Stream-ordered.
struct ReevaluatedRows {
  enum class Store { kNothing, kValue, kLogProbAndValue };

  const float* outputs;
  LogSigmas log_sigma;  // kGaussian
  RingView ring;
  float* ratios;
  int begin, rows;
  Store store;
};
void reevaluate_rows(const Stream& stream, const PolicyLayout& layout, const ReevaluatedRows& rows);

}  // namespace stampede
