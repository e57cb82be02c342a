// SPDX-License-Identifier: Apache-2.0
// One learner's weights and how a transition changes them. Everything here touches this learner's memory alone.
#pragma once

#include <type_traits>

#include "agents/linear/features.h"
#include "agents/linear/td_policy.h"
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

// Features of a table cost nothing. Those of others take code, which is called rather than copied.
template <class Features>
inline constexpr bool kInPlace = std::is_same_v<Features, OneHot>;

template <class Part>
HD_CALL void call(const Part& part) {
  part();
}

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

  HD float* table(int t) const { return weights + static_cast<std::size_t>(t) * table_size(); }
  template <class Weight>
  HD Weight* row_of(Weight* w, std::int32_t feature) const {
    return w + static_cast<std::size_t>(feature) * static_cast<std::size_t>(actions);
  }
  HD std::size_t table_size() const {
    return static_cast<std::size_t>(features.size()) * static_cast<std::size_t>(actions);
  }

  // Action values [A] of one estimator.
  HD void values_of(const float* w, const std::uint32_t* obs, float* q) const {
    if constexpr (kInPlace<Features>) {
      sum_values(w, obs, q);
    } else {
      call([&] { sum_values(w, obs, q); });
    }
  }
  // Action values [A] to act on: with two estimators their mean.
  HD void values(const std::uint32_t* obs, float* q) const {
    values_of(weights, obs, q);
    if (!config.double_q) return;
    float other[kMaxTdActions];
    values_of(table(1), obs, other);
    for (int a = 0; a < actions; ++a) q[a] = 0.5f * (q[a] + other[a]);
  }
  HD float value(const float* w, const std::uint32_t* obs, int action) const {
    float sum = 0.0f;
    for (int k = 0; k < features.active(); ++k) {
      const Feature f = features.at(obs, k);
      sum += f.value * row_of(w, f.index)[action];
    }
    return sum;
  }

  // Value of `obs` for the update of estimator `t`; of two, the other one judges the action that this one prefers.
  HD float bootstrap(int t, const std::uint32_t* obs, int next_action) const {
    float q[kMaxTdActions];
    values_of(table(t), obs, q);
    if (config.double_q) return value(table(1 - t), obs, first_greedy(q, actions));
    return target_value(config, q, actions, next_action, rates);
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
    if constexpr (kInPlace<Features>) {
      move_value(t, obs, action, target);
    } else {
      call([&] { move_value(t, obs, action, target); });
    }
  }

  // Sutton & Barto 2018, equations 6.7 to 6.9, for estimator `t`.
  HD void update_one_step(const TdTransition& t, int next_action, int estimator) {
    const float future = t.terminated() ? 0.0f : bootstrap(estimator, t.next_obs, next_action);
    update(estimator, t.obs, t.action, fused(config.gamma, future, t.reward + bonus(t.obs, t.action)));
  }

  // Q(lambda) after Watkins 1989, SARSA(lambda), Expected SARSA(lambda): Sutton & Barto 2018, section 12.7, with a list
  // of the traces that are not 0.
  HD void update_traces(const TdTransition& t, int next_action) {
    float q[kMaxTdActions];
    values_of(weights, t.next_obs, q);
    const float future = t.terminated() ? 0.0f : target_value(config, q, actions, next_action, rates);
    const float target = fused(config.gamma, future, t.reward + bonus(t.obs, t.action));
    const float error = target - value(weights, t.obs, t.action);
    if (!accept(error)) return;
    for (int k = 0; k < features.active(); ++k) raise_trace(features.at(t.obs, k), t.action);
    const bool cut = t.ends() || (config.target == TdTarget::kMaximum && q[next_action] < largest(q, actions));
    apply_traces(learning_rate(t.obs, t.action) * error, cut ? 0.0f : config.gamma * config.lambda);
  }

 private:
  static constexpr float kSmallestTrace = 1e-6f;

  HD void sum_values(const float* w, const std::uint32_t* obs, float* q) const {
    const Feature first = features.at(obs, 0);
    const float* row = row_of(w, first.index);
    q[0] = first.value * row[0];
    for (int a = 1; a < actions; ++a) q[a] = first.value * row[a];
    for (int k = 1; k < features.active(); ++k) {
      const Feature f = features.at(obs, k);
      row = row_of(w, f.index);
      for (int a = 0; a < actions; ++a) q[a] += f.value * row[a];
    }
  }

  HD void move_value(int t, const std::uint32_t* obs, int action, float target) {
    float* const w = table(t);
    const float error = target - value(w, obs, action);
    if (!accept(error)) return;
    const float step = learning_rate(obs, action) * error;
    for (int k = 0; k < features.active(); ++k) {
      const Feature f = features.at(obs, k);
      row_of(w, f.index)[action] += step * features.rate(f.index) * f.value;
    }
  }

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
