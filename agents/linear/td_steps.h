// SPDX-License-Identifier: Apache-2.0
// The device step of temporal-difference control: learn from the row before, then choose the next action.
#pragma once

#include "agents/linear/td_lane.h"

namespace stampede {

// What does not change while learners train. Plain data: it travels into kernels.
struct TdProblem {
  TdConfig config;
  CountCells cells;
  int actions = 1;
  TdArrays arrays{};
};

// One row of learners [begin, end). Learner i owns environment i.
struct TdRow {
  int begin, end;
  std::int64_t row;
  int slot;                // of the row
  int previous_slot;       // of the row before
  bool has_previous;       // false where the ring does not hold it
  std::uint32_t* records;  // [N, record words] of the row
  std::uint64_t seed;
  Anneal epsilon, learning_rate, temperature;

  HD TdRates rates(std::int32_t episodes) const {
    return {epsilon.at(episodes), learning_rate.at(episodes), temperature.at(episodes)};
  }
};

// Learns from row - 1 and writes the actions of `row`. SARSA and traces choose before they learn, the others after.
// Stream-ordered.
void td_step(const Stream& stream, const LinearFeatures& features, const TdProblem& problem, const RingView& ring,
             const TdRow& row);

// Actions of rows [begin, end) of an evaluation; row i asks learner i modulo `learners`.
struct TdActRows {
  const std::uint32_t* obs;  // [M, D]
  int obs_size;
  std::uint32_t* records;  // [M, record words]
  RecordLayout record;
  int begin, end, learners;
  bool greedy;  // the lowest of the best actions; otherwise the behaviour policy
  TdRates rates;
  RandomKey key;
};
void td_act(const Stream& stream, const LinearFeatures& features, const TdProblem& problem, const TdActRows& rows);

// Sets every action value to the configured initial value, estimators [N, tables, F, A]. Stream-ordered.
void td_initialize(const Stream& stream, const LinearFeatures& features, const TdProblem& problem, int learners);

// Forgets what metrics have read; `window` also the counted returns. Stream-ordered.
void td_clear_metrics(const Stream& stream, const TdProblem& problem, int learners, bool window);
// Forgets the running episodes' rows, which the ring no longer holds. Stream-ordered.
void td_forget_rows(const Stream& stream, const TdProblem& problem, int learners);

}  // namespace stampede
