// SPDX-License-Identifier: Apache-2.0
// What one learner does with the transition that a row completed.
#pragma once

#include "agents/linear/td_history.h"
#include "agents/linear/td_steps.h"

namespace stampede {

HD void end_episode(const TdConfig& config, LearnerProgress& p) {
  if (config.episodes == 0 || p.episodes >= config.episodes - config.return_window) {
    p.window_return += static_cast<double>(p.episode_return);
    ++p.window_episodes;
  }
  ++p.episodes;
  p.length = 0;
  p.episode_return = 0.0f;
}

// From more than the latest transition.
template <class Features>
HD void learn_far(TdLane<Features>& lane, const TdHistory& history, const TdTransition& t, int next_action, int table) {
  if (lane.config.target == TdTarget::kReturn) {
    if (t.ends()) learn_returns(lane, history, t);
  } else if (lane.config.n_step > 1) {
    learn_n_step(lane, history, t, next_action, table);
  } else {
    lane.update_traces(t, next_action);
  }
}

template <class Features>
HD void learn(TdLane<Features>& lane, const TdHistory& history, const TdTransition& t, int next_action,
              std::uint32_t coin, const RandomKey& planning) {
  const TdConfig& c = lane.config;
  LearnerProgress& p = lane.progress;
  const int table = c.double_q ? static_cast<int>(coin >> 31) : 0;
  const bool returns = c.target == TdTarget::kReturn;
  if (returns || c.n_step > 1) p.length = p.length < history.ring.shape.rows ? p.length + 1 : p.length;
  if (c.counts_visits() && !returns) ++lane.visits_of(t.obs, t.action);
  if constexpr (kIsTable<Features>) {
    if (c.first_visit) note_visit(lane, history, t);
  }
  p.episode_return += t.reward;
  if (!returns && c.n_step == 1 && c.lambda == 0.0f) {
    lane.update_one_step(t, next_action, table);
  } else {
    learn_far(lane, history, t, next_action, table);
  }
  if constexpr (kIsTable<Features>) {
    if (c.planning_steps > 0) {
      Rng rng(planning, static_cast<std::uint32_t>(history.learner));
      learn_from_model(lane, t, rng);
    }
  }
  if (t.ends()) end_episode(c, p);
}

// The memory of learner i.
template <class Features>
HD TdLane<Features> lane_of(int i, const Features& features, const TdProblem& problem, const TdConfig& c,
                            const TdRates& rates, int actions, LearnerProgress& progress) {
  const TdArrays& all = problem.arrays;
  const auto n = static_cast<std::size_t>(i), width = static_cast<std::size_t>(actions);
  const std::size_t size = static_cast<std::size_t>(features.size()) * width;
  TdLane<Features> lane{features, c, problem.cells, rates, actions, all.weights + n * size * (c.double_q ? 2 : 1),
                        progress};
  if (c.lambda > 0.0f) {
    lane.traces = all.traces + n * size;
    lane.active = all.active + n * size;
  }
  if (c.counts_visits()) lane.visits = all.visits + n * static_cast<std::size_t>(problem.cells.cells) * width;
  if (c.planning_steps > 0) {
    lane.model = all.model + n * size * static_cast<std::size_t>(c.model_outcomes);
    lane.known = all.known + n * size;
  }
  if (c.first_visit) lane.first_visits = all.first_visits + n * size;
  return lane;
}

// Whether the next action is chosen before the learner learns.
HD bool chooses_first(const TdConfig& config) { return config.target == TdTarget::kSampled || config.lambda > 0.0f; }

HD const std::uint32_t* row_obs(const RingView& ring, int slot, int i) {
  return reinterpret_cast<const std::uint32_t*>(ring.obs) +
         ring.index(slot, i) * static_cast<std::size_t>(ring.shape.obs_size);
}

// Learner i learns from the row before, unless that one only reset or the learner has had all its episodes.
template <class Features>
HD void learn_row(TdLane<Features>& lane, const RingView& ring, const TdRow& row, int i, int next_action,
                  std::uint32_t coin) {
  const int episodes = lane.config.episodes;
  const std::uint32_t* const record = ring.record(ring.index(row.previous_slot, i));
  const std::uint32_t flags = row.has_previous ? record[2] : 0;
  if (!(flags & kValid) || (episodes > 0 && lane.progress.episodes >= episodes)) return;
  const TdTransition t{row_obs(ring, row.previous_slot, i), row_obs(ring, row.slot, i), static_cast<int>(record[0]),
                       bits_float(record[1]), flags};
  learn(lane, {ring, row.slot, row.row, i}, t, next_action, coin,
        {row.seed, static_cast<std::uint64_t>(row.row), Purpose::kPlanning});
}

}  // namespace stampede
