// SPDX-License-Identifier: Apache-2.0
#include "agents/linear/td_tables_cpu.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "agents/linear/td_learn.h"
#include "kernels/lane_list.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// Learners of a tile: what the stages hand on stays in L1.
constexpr int kTableTile = 128;
// Words of a record: one for the action.
constexpr int kRecordWords = RecordLayout::for_action_size(1).words;

// Words of LearnerProgress that change in every row: length, episode_return, error_sum, updates.
constexpr int kChangeWords = 4;
static_assert(offsetof(LearnerProgress, updates) == offsetof(LearnerProgress, length) + 12);

// All four at once: the outer ones are integers, the inner ones are not.
void add_change(LearnerProgress& progress, const std::uint32_t* change) {
  using Integers = std::uint32_t __attribute__((vector_size(16)));  // unsigned: the sum of reals as such wraps
  using Reals = float __attribute__((vector_size(16)));
  Integers old, by;
  __builtin_memcpy(&old, &progress.length, sizeof old);
  __builtin_memcpy(&by, change, sizeof by);
  const auto reals = reinterpret_cast<Integers>(reinterpret_cast<Reals>(old) + reinterpret_cast<Reals>(by));
  const Integers sum = __builtin_shuffle(old + by, reals, Integers{0, 5, 6, 3});
  __builtin_memcpy(&progress.length, &sum, sizeof sum);
}

// What the stages of a row hand on, learner by learner.
template <int kActions>
struct TableTile {
  static constexpr int kStride = std::bit_ceil(static_cast<unsigned>(kActions));

  // Records of the row before, copied: gcc would read others with a gap at their end one by one at the end of a loop.
  alignas(64) std::uint32_t previous[kTableTile * kRecordWords];
  std::uint32_t words[4][kTableTile];  // random
  float epsilon[kTableTile], learning_rate[kTableTile], temperature[kTableTile];
  std::uint32_t learns[kTableTile];                             // 0 once a learner has had all its episodes
  alignas(64) float next[kTableTile * kStride];                 // values of the state it is in now
  float* taken[kTableTile];                                     // the weight of the action before
  float value[kTableTile];                                      // of the action before
  float moved[kTableTile];                                      // after the update
  alignas(64) std::uint32_t change[kTableTile * kChangeWords];  // of the learner's progress
  std::uint32_t failed[kTableTile], ended[kTableTile];          // after a row that was learnt from
  std::int32_t rare[kTableTile];                                // either

  HD ActionValues<kActions> values(int k) const {
    ActionValues<kActions> q;
#pragma GCC unroll 32
    for (int a = 0; a < kActions; ++a) q.value[a] = next[k * kStride + a];
    return q;
  }
  HD TdRates rates(int k) const { return {epsilon[k], learning_rate[k], temperature[k]}; }
  HD PhiloxBlock draw(int k) const { return {{words[0][k], words[1][k], words[2][k], words[3][k]}}; }
};

// The memory of a tile's learners at this row and the one before.
struct TableRows {
  const std::uint32_t* states;           // [n]
  const std::uint32_t* previous_states;  // [n]
  const std::uint32_t* previous;         // records [n, kRecordWords]
  std::uint32_t* records;                // [n, kRecordWords]
  LearnerProgress* progress;             // [n]
  float* weights;                        // [n, tables, S, A]
  std::size_t table_size, learner_size;  // S * A; tables * S * A
};

template <int kActions>
class TableStep {
 public:
  TableStep(const OneHot& table, const TdProblem& problem, const RingView& ring, const TdRow& row)
      : table_(table), problem_(problem), ring_(ring), row_(row) {}

  void operator()(int begin, int end) const {
    for (int first = begin; first < end; first += kTableTile) {
      step_tile(row_.begin + first, std::min(kTableTile, end - first));
    }
  }

 private:
  void step_tile(int first, int n) const {
    const TableRows rows = rows_of(first);
    TableTile<kActions> tile;
    draw(first, n, tile);
    set_rates(rows, n, tile);
    if (problem_.config.is_one_step()) return update_tile(rows, n, tile);
    const bool chooses_before = chooses_first(problem_.config);
    if (chooses_before) choose_tile(rows, n, tile);
    for (int k = 0; k < n; ++k) {
      const int action = chooses_before ? static_cast<int>(rows.records[k * kRecordWords]) : 0;
      TdLane<OneHot> lane =
          lane_of(first + k, table_, problem_, problem_.config, tile.rates(k), kActions, rows.progress[k]);
      learn_row(lane, ring_, row_, first + k, action, tile.words[3][k]);
    }
    if (!chooses_before) choose_tile(rows, n, tile);
  }

  void update_tile(const TableRows& rows, int n, TableTile<kActions>& tile) const {
    load_values(rows, n, tile);
    load_taken(rows, n, tile);
    std::copy_n(rows.previous, n * kRecordWords, tile.previous);
    switch (problem_.config.target) {
      case TdTarget::kMaximum:
        return update<TdTarget::kMaximum>(rows, n, tile);
      case TdTarget::kSampled:
        return update<TdTarget::kSampled>(rows, n, tile);
      case TdTarget::kSoft:
        return update<TdTarget::kSoft>(rows, n, tile);
      default:
        return update<TdTarget::kExpected>(rows, n, tile);
    }
  }

  void choose_tile(const TableRows& rows, int n, TableTile<kActions>& tile) const {
    load_values(rows, n, tile);
    if (problem_.config.target == TdTarget::kSoft) return choose<TdTarget::kSoft>(rows, n, tile);
    choose<TdTarget::kExpected>(rows, n, tile);
  }

  // The memory of the tile's learners.
  TableRows rows_of(int first) const {
    const auto n = static_cast<std::size_t>(first);
    const std::size_t size = static_cast<std::size_t>(table_.size()) * kActions;
    const std::size_t estimators = problem_.config.double_q ? 2 : 1;
    return {row_obs(ring_, row_.slot, first),
            row_obs(ring_, row_.previous_slot, first),
            ring_.record(ring_.index(row_.previous_slot, first)),
            row_.records + n * kRecordWords,
            problem_.arrays.progress + n,
            problem_.arrays.weights + n * size * estimators,
            size,
            size * estimators};
  }

  void draw(int first, int n, TableTile<kActions>& tile) const {
    const RandomKey key{row_.seed, static_cast<std::uint64_t>(row_.row), Purpose::kExploration};
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < n; ++k) {
      const PhiloxBlock block = key.block(static_cast<std::uint32_t>(first + k), 0);
      for (int w = 0; w < 4; ++w) tile.words[w][k] = block.word[w];
    }
  }

  // The rates follow a learner's own episodes where it has a number of them.
  void set_rates(const TableRows& rows, int n, TableTile<kActions>& tile) const {
    const TdConfig& c = problem_.config;
    if (c.episodes == 0) {
      std::fill_n(tile.learns, n, row_.has_previous);
      std::fill_n(tile.epsilon, n, row_.epsilon.at(0));
      std::fill_n(tile.learning_rate, n, row_.learning_rate.at(0));
      std::fill_n(tile.temperature, n, row_.temperature.at(0));
      return;
    }
    for (int k = 0; k < n; ++k) {
      const std::int32_t episodes = rows.progress[k].episodes;
      tile.learns[k] = row_.has_previous && episodes < c.episodes;
      tile.epsilon[k] = row_.epsilon.at(episodes);
      tile.learning_rate[k] = row_.learning_rate.at(episodes);
      tile.temperature[k] = row_.temperature.at(episodes);
    }
  }

  // Values of the state that each learner is in.
  void load_values(const TableRows& rows, int n, TableTile<kActions>& tile) const {
    const float* table = rows.weights;
    for (int k = 0; k < n; ++k) {
      const float* const values = table + static_cast<std::size_t>(rows.states[k]) * kActions;
      __builtin_memcpy(tile.next + k * tile.kStride, values, kActions * sizeof(float));
      table += rows.learner_size;
    }
    if (!problem_.config.double_q) return;
    table = rows.weights + rows.table_size;
    for (int k = 0; k < n; ++k) {
      const float* const others = table + static_cast<std::size_t>(rows.states[k]) * kActions;
      float* const values = tile.next + k * tile.kStride;
      for (int a = 0; a < kActions; ++a) values[a] = 0.5f * (values[a] + others[a]);
      table += rows.learner_size;
    }
  }

  // Value of the action taken in the state before.
  static void load_taken(const TableRows& rows, int n, TableTile<kActions>& tile) {
    float* table = rows.weights;
    for (int k = 0; k < n; ++k) {
      const std::size_t pair =
          static_cast<std::size_t>(rows.previous_states[k]) * kActions + rows.previous[k * kRecordWords];
      tile.taken[k] = table + pair;
      tile.value[k] = *tile.taken[k];
      table += rows.learner_size;
    }
  }

  template <TdTarget kTarget>
  void choose(const TableRows& rows, int n, const TableTile<kActions>& tile) const {
    std::uint32_t* const records = rows.records;
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < n; ++k) {
      store_action(records + k * kRecordWords, behave(kTarget, tile.values(k), kActions, tile.rates(k), tile.draw(k)));
    }
  }
  // All words of the record, which is the environment's to fill: a store with gaps would not vectorise.
  HD static void store_action(std::uint32_t* record, int action) {
    record[0] = static_cast<std::uint32_t>(action);
#pragma GCC unroll 4
    for (int w = 1; w < kRecordWords; ++w) record[w] = 0;
  }

  // One-step targets: the update of the row before and the choice of the next action.
  template <TdTarget kTarget>
  void update(const TableRows& rows, int n, TableTile<kActions>& tile) const {
    const float gamma = problem_.config.gamma;
    const std::uint32_t* const states = rows.states;
    const std::uint32_t* const previous_states = rows.previous_states;
    const std::uint32_t* const previous = tile.previous;
    std::uint32_t* const records = rows.records;
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < n; ++k) {
      ActionValues<kActions> q = tile.values(k);
      const TdRates rates = tile.rates(k);
      const auto action = static_cast<std::int32_t>(previous[k * kRecordWords]);
      const float reward = bits_float(previous[k * kRecordWords + 1]);
      const std::uint32_t flags = previous[k * kRecordWords + 2];
      int chosen = 0;
      if constexpr (kTarget == TdTarget::kSampled) chosen = behave(kTarget, q, kActions, rates, tile.draw(k));
      const float next = target_value(kTarget, q, kActions, chosen, rates);
      const float future = flags & kTerminated ? 0.0f : next;
      const float value = 0.0f + tile.value[k];
      const float error = fused(gamma, future, reward + 0.0f) - value;
      const float magnitude = error < 0.0f ? -error : error;
      const std::uint32_t learns = tile.learns[k] & (flags & kValid ? 1u : 0u);
      const std::uint32_t updated = learns & (magnitude < INFINITY ? 1u : 0u);
      const float moved = updated ? tile.value[k] + rates.learning_rate * error : tile.value[k];
      tile.moved[k] = moved;
      std::uint32_t* const change = tile.change + k * kChangeWords;
      change[0] = 0;
      change[1] = float_bits(reward) & (0u - learns);
      change[2] = float_bits(magnitude) & (0u - updated);
      change[3] = updated;
      const std::uint32_t failed = learns - updated;
      const std::uint32_t ended = learns & (flags & kEpisodeEnd ? 1u : 0u);
      tile.failed[k] = failed;
      tile.ended[k] = ended;
      tile.rare[k] = static_cast<std::int32_t>(failed | ended);
      if constexpr (kTarget != TdTarget::kSampled) {
        // The state may be the one whose value has moved.
        const std::int32_t same = states[k] == previous_states[k] ? action : -1;
#pragma GCC unroll 32
        for (int a = 0; a < kActions; ++a) q.value[a] = same == a ? moved : q.value[a];
        chosen = behave(kTarget, q, kActions, rates, tile.draw(k));
      }
      store_action(records + k * kRecordWords, chosen);
    }
    store_values(rows, n, tile);
  }

  void store_values(const TableRows& rows, int n, const TableTile<kActions>& tile) const {
    for (int k = 0; k < n; ++k) {
      *tile.taken[k] = tile.moved[k];
      add_change(rows.progress[k], tile.change + k * kChangeWords);
    }
    std::int32_t rare[kTableTile + kLaneListSlack];
    const int count = list_set_lanes(tile.rare, n, 0, rare);
    for (int j = 0; j < count; ++j) {
      LearnerProgress& p = rows.progress[rare[j]];
      p.failed |= static_cast<std::int32_t>(tile.failed[rare[j]]);
      if (tile.ended[rare[j]] != 0) end_episode(problem_.config, p);
    }
  }

  OneHot table_;
  TdProblem problem_;
  RingView ring_;
  TdRow row_;
};

}  // namespace

bool tables_have_tiles(int actions) { return actions == 4 || actions == 6; }

void step_tables_on_cpu(const Stream& stream, const OneHot& table, const TdProblem& problem, const RingView& ring,
                        const TdRow& row) {
  const int rows = row.end - row.begin;
  if (problem.actions == 4) return for_each_chunk(stream, rows, TableStep<4>(table, problem, ring, row));
  for_each_chunk(stream, rows, TableStep<6>(table, problem, ring, row));
}

}  // namespace stampede
