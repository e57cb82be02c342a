// SPDX-License-Identifier: Apache-2.0
// Learning from more than the latest transition: n-step targets and Monte Carlo returns out of the ring, and Dyna-Q's
// model.
#pragma once

#include "agents/linear/td_lane.h"

namespace stampede {

// The rows behind the current one, of one learner.
struct TdHistory {
  const RingView& ring;
  int slot;          // of the current row
  std::int64_t row;  // the current one; k = 1 is the row before
  int learner;

  HD int slot_back(int k) const { return slot < k ? slot - k + ring.slots() : slot - k; }
  HD std::size_t index_back(int k) const { return ring.index(slot_back(k), learner); }
  HD const std::uint32_t* obs(int k) const {
    return reinterpret_cast<const std::uint32_t*>(ring.obs) +
           index_back(k) * static_cast<std::size_t>(ring.shape.obs_size);
  }
  HD int action(int k) const { return static_cast<int>(ring.record(index_back(k))[0]); }
};

// n-step targets (Sutton & Barto 2018, section 7.2) of the row n steps back; at an end, of all that are left.
template <class Features>
HD void learn_n_step(TdLane<Features>& lane, const TdHistory& history, const TdTransition& t, int next_action,
                     int table) {
  const int n = lane.config.n_step, seen = lane.progress.length;
  if (seen < n && !t.ends()) return;
  const int longest = seen < n ? seen : n, shortest = t.ends() ? 1 : longest;
  for (int k = longest; k >= shortest; --k) {
    const NStepTarget folded = fold_n_step(history.ring, history.slot_back(k), history.learner, k, lane.config.gamma);
    const float future = folded.discount == 0.0f ? 0.0f : lane.bootstrap(table, t.next_obs, next_action);
    lane.update(table, history.obs(k), history.action(k), fused(folded.discount, future, folded.reward));
  }
}

// Notes when a pair was first visited in this episode: [S, A], 1 + row.
template <class Features>
HD void note_visit(const TdLane<Features>& lane, const TdHistory& history, const TdTransition& t) {
  std::uint32_t& first = lane.first_visits[lane.pair(t.obs, t.action)];
  const auto visit = static_cast<std::uint32_t>(history.row);
  if (visit - first >= static_cast<std::uint32_t>(lane.progress.length)) first = visit;
}

// Monte Carlo control (section 5.4) of a finished episode, from its last row to its first. A truncated episode goes on
// with the value of its last observation.
template <class Features>
HD void learn_returns(TdLane<Features>& lane, const TdHistory& history, const TdTransition& t) {
  float sum = t.terminated() ? 0.0f : lane.bootstrap(0, t.next_obs, 0);
  for (int k = 1; k <= lane.progress.length; ++k) {
    const std::uint32_t* const obs = history.obs(k);
    const int action = history.action(k);
    sum = fused(lane.config.gamma, sum, history.ring.reward(history.index_back(k)));
    const std::uint32_t visit = static_cast<std::uint32_t>(history.row - k) + 1;
    if (lane.config.first_visit && lane.first_visits[lane.pair(obs, action)] != visit) continue;
    if (lane.config.counts_visits()) ++lane.visits_of(obs, action);
    lane.update(0, obs, action, sum);
  }
}

// One more of the outcomes of a pair. A new one takes a free place, or that of the rarest.
HD void count_outcome(ModelEntry* outcomes, int places, const ModelEntry& seen) {
  int place = 0;
  for (int k = 0; k < places; ++k) {
    if (outcomes[k].count > 0 && outcomes[k].same_outcome(seen)) {
      if (++outcomes[k].count < ModelEntry::kMostOften) return;
      for (int j = 0; j < places; ++j) outcomes[j].count /= 2;
      return;
    }
    place = outcomes[k].count < outcomes[place].count ? k : place;
  }
  outcomes[place] = seen;
}

// An outcome of a known pair, as often as it came.
HD const ModelEntry& draw_outcome(const ModelEntry* outcomes, int places, Rng& rng) {
  std::int32_t total = 0;
  for (int k = 0; k < places; ++k) total += outcomes[k].count;
  if (total == outcomes[0].count) return outcomes[0];
  auto left = static_cast<std::int32_t>(rng.below(static_cast<std::uint32_t>(total)));
  int k = 0;
  while (left >= outcomes[k].count) left -= outcomes[k++].count;
  return outcomes[k];
}

// Dyna-Q (section 8.2): what happened goes into the model, then pairs seen before are updated from it. Outcomes are
// drawn with their frequencies, so that planning is right in stochastic worlds too.
template <class Features>
HD void learn_from_model(TdLane<Features>& lane, const TdTransition& t, Rng& rng) {
  const int places = lane.config.model_outcomes;
  const auto here = static_cast<std::int32_t>(lane.pair(t.obs, t.action));
  if (lane.outcomes_of(here)[0].count == 0) lane.known[lane.progress.known_pairs++] = here;
  count_outcome(lane.outcomes_of(here), places,
                {t.reward, static_cast<std::int32_t>(t.next_obs[0]), t.terminated() ? 1 : 0, 1});
  for (int k = 0; k < lane.config.planning_steps; ++k) {
    const std::int32_t pair = lane.known[rng.below(static_cast<std::uint32_t>(lane.progress.known_pairs))];
    const ModelEntry& entry = draw_outcome(lane.outcomes_of(pair), places, rng);
    const auto state = static_cast<std::uint32_t>(pair / lane.actions);
    const auto next = static_cast<std::uint32_t>(entry.next_state);
    const TdTransition remembered{&state, &next, pair % lane.actions, entry.reward,
                                  entry.terminates != 0 ? kTerminated : 0u};
    lane.update_one_step(remembered, 0, lane.config.double_q ? static_cast<int>(rng.below(2)) : 0);
  }
}

}  // namespace stampede
