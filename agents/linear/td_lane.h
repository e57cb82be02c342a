// SPDX-License-Identifier: Apache-2.0
// One learner's weights and how a transition changes them. Everything here touches this learner's memory alone.
#pragma once

#include "agents/linear/linear_values.h"
#include "replay/returns.h"

namespace stampede {

// What one learner knows of its episodes; a word of metrics each.
struct LearnerProgress {
  double window_return;          // summed over counted episodes
  std::int32_t window_episodes;  // counted: the last return_window of `episodes`, or all since the last read
  std::int32_t episodes;         // finished
  std::int32_t length;           // transitions of the running episode that were seen
  float episode_return;          // of the running episode
  float error_sum;               // of absolute TD errors since the last read
  std::int32_t updates;          // since the last read
  std::int32_t failed;           // 1 after a value that was not finite
  std::int32_t active_traces;
  std::int32_t known_pairs;  // of the model
  std::int32_t reserved;
};

// Dyna-Q's memory of one outcome of (s, a), and how often it came; 0 = none yet.
struct ModelEntry {
  static constexpr std::int32_t kMostOften = 1 << 24;  // then all counts of the pair are halved
  float reward;
  std::int32_t next_state;
  std::int32_t terminates;  // 0 or 1
  std::int32_t count;

  HD bool same_outcome(const ModelEntry& other) const {
    return reward == other.reward && next_state == other.next_state && terminates == other.terminates;
  }
};

// Memory of all learners; null where an option is off. F features, A actions.
struct TdArrays {
  LearnerProgress* progress;    // [N]
  float* weights;               // [N, tables, F, A]
  float* traces;                // [N, F, A]
  std::int32_t* active;         // [N, F * A], where traces are not 0
  std::int32_t* visits;         // [N, cells, A]
  ModelEntry* model;            // [N, S, A, model_outcomes]
  std::int32_t* known;          // [N, S * A], pairs the model knows
  std::uint32_t* first_visits;  // [N, S, A], 1 + row of the first visit in the latest episode that had one
};

// The transition that a row completed.
struct TdTransition {
  const std::uint32_t* obs;       // [D], before
  const std::uint32_t* next_obs;  // [D], after
  int action;
  float reward;
  std::uint32_t flags;
  HD bool terminated() const { return flags & kTerminated; }
  HD bool ends() const { return flags & kEpisodeEnd; }
};

template <class Features>
struct TdLane {
  const Features& features;
  const TdConfig& config;
  const CountCells& cells;
  TdRates rates;
  int actions;
  float* weights;  // [tables, F, A]
  LearnerProgress& progress;
  float* traces = nullptr;
  std::int32_t* active = nullptr;
  std::int32_t* visits = nullptr;
  ModelEntry* model = nullptr;
  std::int32_t* known = nullptr;
  std::uint32_t* first_visits = nullptr;

  HD std::size_t table_size() const {
    return static_cast<std::size_t>(features.size()) * static_cast<std::size_t>(actions);
  }
  HD LinearValues<Features> estimator(int t) const {
    return {features, weights + static_cast<std::size_t>(t) * table_size(), actions};
  }

  // The action values of a state: of one estimator, or the mean of two.
  struct Values {
    static constexpr int kCount = 0;
    const TdLane& lane;
    int first_estimator;
    bool mean;
    const std::uint32_t* obs;

    template <class Visitor>
    HD void visit(Visitor&& visitor) const {
      for (int first = 0; first < lane.actions; first += kValueGroup) {
        ActionValues<kValueGroup> q = lane.estimator(first_estimator).group(obs, first);
        if (mean) q = q.mean(lane.estimator(1).group(obs, first));
#pragma GCC unroll 4
        for (int j = 0; j < kValueGroup; ++j) {
          if (first + j < lane.actions) visitor(first + j, q.value[j]);
        }
      }
    }
  };
  HD Values values_of(int estimator, const std::uint32_t* obs) const { return {*this, estimator, false, obs}; }
  // Those to act on.
  HD Values values(const std::uint32_t* obs) const { return {*this, 0, config.double_q, obs}; }

  // Value of `obs` for the update of estimator `t`; of two, the other one judges the action that this one prefers.
  HD float bootstrap(int t, const std::uint32_t* obs, int next_action) const {
    const Values q = values_of(t, obs);
    if (config.double_q) return estimator(1 - t).value(obs, summary_of(q).first_best());
    return target_value(config.target, q, actions, next_action, rates);
  }

  // Notes a TD error; false when it is not finite and nothing may be changed.
  HD bool accept(float error) {
    const float magnitude = error < 0.0f ? -error : error;
    if (!(magnitude < INFINITY)) {
      progress.failed = 1;
      return false;
    }
    progress.error_sum += magnitude;
    ++progress.updates;
    return true;
  }

  // Place of a pair in arrays [S, A], for tables.
  HD std::size_t pair(const std::uint32_t* obs, int action) const {
    return static_cast<std::size_t>(obs[0]) * static_cast<std::size_t>(actions) + static_cast<std::size_t>(action);
  }
  // What the model knows of a pair: [model_outcomes].
  HD ModelEntry* outcomes_of(std::int32_t pair) const {
    return model + static_cast<std::size_t>(pair) * static_cast<std::size_t>(config.model_outcomes);
  }
  // Visits of (obs, action) counted so far.
  HD std::int32_t& visits_of(const std::uint32_t* obs, int action) const {
    return visits[static_cast<std::size_t>(cells.at(obs)) * static_cast<std::size_t>(actions) + action];
  }
  HD float learning_rate(const std::uint32_t* obs, int action) const {
    if (config.rate_power == 0.0f) return rates.learning_rate;
    const auto n = static_cast<float>(visits_of(obs, action));
    return rates.learning_rate * exp_of(-config.rate_power * log_of(n));
  }
  HD float bonus(const std::uint32_t* obs, int action) const {
    return config.bonus == 0.0f ? 0.0f : config.bonus / square_root(static_cast<float>(visits_of(obs, action)));
  }

  // Moves estimator t's value of (obs, action) towards the target.
  HD void update(int t, const std::uint32_t* obs, int action, float target) {
    const LinearValues<Features> values = estimator(t);
    const float error = target - values.value(obs, action);
    if (accept(error)) values.move(obs, action, learning_rate(obs, action) * error);
  }

  // Sutton & Barto 2018, equations 6.7 to 6.9, for estimator `t`.
  HD void update_one_step(const TdTransition& t, int next_action, int estimator) {
    const float future = t.terminated() ? 0.0f : bootstrap(estimator, t.next_obs, next_action);
    update(estimator, t.obs, t.action, fused(config.gamma, future, t.reward + bonus(t.obs, t.action)));
  }

  // Q(lambda) after Watkins 1989, SARSA(lambda), Expected SARSA(lambda): Sutton & Barto 2018, section 12.7, with a list
  // of the traces that are not 0.
  HD void update_traces(const TdTransition& t, int next_action) {
    const Values q = values_of(0, t.next_obs);
    const float future = t.terminated() ? 0.0f : target_value(config.target, q, actions, next_action, rates);
    const float target = fused(config.gamma, future, t.reward + bonus(t.obs, t.action));
    const float error = target - estimator(0).value(t.obs, t.action);
    if (!accept(error)) return;
    const bool explores = config.target == TdTarget::kMaximum && value_of(q, next_action) < largest_of(q);
    for (int k = 0; k < features.active(); ++k) raise_trace(features.at(t.obs, k), t.action);
    apply_traces(learning_rate(t.obs, t.action) * error, t.ends() || explores ? 0.0f : config.gamma * config.lambda);
  }

 private:
  static constexpr float kSmallestTrace = 1e-6f;

  HD void raise_trace(const Feature& f, int action) {
    const auto index = f.index * actions + action;
    if (traces[index] == 0.0f) active[progress.active_traces++] = index;
    traces[index] = config.replacing ? f.value : traces[index] + f.value;
  }
  // Changes weights along the traces, lets these decay and forgets the small ones.
  HD void apply_traces(float step, float decay) {
    std::int32_t kept = 0;
    for (std::int32_t j = 0; j < progress.active_traces; ++j) {
      const std::int32_t index = active[j];
      const float trace = traces[index];
      weights[index] = fused(step * features.rate(index / actions), trace, weights[index]);
      const float decayed = decay * trace;
      const bool keeps = decayed > kSmallestTrace || decayed < -kSmallestTrace;
      traces[index] = keeps ? decayed : 0.0f;
      active[kept] = index;
      kept += keeps;
    }
    progress.active_traces = kept;
  }
};

}  // namespace stampede
