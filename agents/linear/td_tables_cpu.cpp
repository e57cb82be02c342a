// SPDX-License-Identifier: Apache-2.0
#include "agents/linear/td_tables_cpu.h"

#include <algorithm>
#include <bit>

#include "agents/linear/td_learn.h"
#include "kernels/lane_list.h"
#include "kernels/launch.h"

namespace stampede {
namespace {

// Learners of a tile: what the stages hand on stays in L1.
constexpr int kTile = 128;
// Words of a record: one for the action.
constexpr int kRecordWords = RecordLayout::for_action_size(1).words;

// What the stages of a row hand on, learner by learner.
template <int kActions>
struct Tile {
  static constexpr int kStride = std::bit_ceil(static_cast<unsigned>(kActions));

  std::uint32_t words[4][kTile];  // random
  float epsilon[kTile], learning_rate[kTile], temperature[kTile];
  std::int32_t learns[kTile];   // 0 once a learner has had all its episodes
  float next[kTile * kStride];  // values of the state it is in now
  float value[kTile];           // of the action before
  float moved[kTile];           // after the update
  float reward[kTile];          // that counts; 0 where nothing was learnt
  float magnitude[kTile];       // of the TD error; 0 where nothing was learnt
  std::int32_t updated[kTile];
  std::int32_t ended[kTile];
  std::int32_t failed[kTile];

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
struct TileRows {
  const std::uint32_t* states;           // [n]
  const std::uint32_t* previous_states;  // [n]
  const std::uint32_t* previous;         // records [n, kRecordWords]
  std::uint32_t* records;                // [n, kRecordWords]
  LearnerProgress* progress;             // [n]
  float* weights;                        // [n, tables, S, A]
  std::size_t table_size;                // S * A
};

template <int kActions>
class TableStep {
 public:
  TableStep(const OneHot& table, const TdProblem& problem, const RingView& ring, const TdRow& row)
      : table_(table), problem_(problem), ring_(ring), row_(row) {}

  void operator()(int begin, int end) const {
    for (int first = begin; first < end; first += kTile) {
      step_tile(row_.begin + first, std::min(kTile, end - first));
    }
  }

 private:
  void step_tile(int first, int n) const {
    const TileRows rows = rows_of(first);
    Tile<kActions> tile;
    draw(first, n, tile);
    set_rates(rows, n, tile);
    load_values(rows, n, tile);
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

  TileRows rows_of(int first) const {
    const auto n = static_cast<std::size_t>(first);
    const auto* const states = reinterpret_cast<const std::uint32_t*>(ring_.obs);
    const std::size_t size = static_cast<std::size_t>(table_.size()) * kActions;
    return {states + ring_.index(row_.slot, first),
            states + ring_.index(row_.previous_slot, first),
            ring_.record(ring_.index(row_.previous_slot, first)),
            row_.records + n * kRecordWords,
            problem_.arrays.progress + n,
            problem_.arrays.weights + n * size,
            size};
  }

  void draw(int first, int n, Tile<kActions>& tile) const {
    const RandomKey key{row_.seed, static_cast<std::uint64_t>(row_.row), Purpose::kExploration};
    STAMPEDE_INDEPENDENT
    for (int k = 0; k < n; ++k) {
      const PhiloxBlock block = key.block(static_cast<std::uint32_t>(first + k), 0);
      for (int w = 0; w < 4; ++w) tile.words[w][k] = block.word[w];
    }
  }

  // The rates follow a learner's own episodes where it has a number of them.
  void set_rates(const TileRows& rows, int n, Tile<kActions>& tile) const {
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

  static void load_values(const TileRows& rows, int n, Tile<kActions>& tile) {
    const float* table = rows.weights;
    for (int k = 0; k < n; ++k) {
      const float* const next = table + static_cast<std::size_t>(rows.states[k]) * kActions;
      __builtin_memcpy(tile.next + k * tile.kStride, next, kActions * sizeof(float));
      tile.value[k] =
          table[static_cast<std::size_t>(rows.previous_states[k]) * kActions + rows.previous[k * kRecordWords]];
      table += rows.table_size;
    }
  }

  // One-step targets: the update of the row before and the choice of the next action.
  template <TdTarget kTarget>
  void update(const TileRows& rows, int n, Tile<kActions>& tile) const {
    const float gamma = problem_.config.gamma;
    const std::uint32_t* const states = rows.states;
    const std::uint32_t* const previous_states = rows.previous_states;
    const std::uint32_t* const previous = rows.previous;
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
      const float next = target_value(kTarget, q, summary_of(q, chosen), kActions, rates);
      const float future = flags & kTerminated ? 0.0f : next;
      const float value = 0.0f + tile.value[k];
      const float error = fused(gamma, future, reward + 0.0f) - value;
      const float magnitude = error < 0.0f ? -error : error;
      const std::int32_t learns = (flags & kValid) != 0 ? tile.learns[k] : 0;
      const std::int32_t finite = magnitude < INFINITY;
      const std::int32_t updated = learns & finite;
      const float moved = updated ? tile.value[k] + rates.learning_rate * error : tile.value[k];
      tile.moved[k] = moved;
      tile.reward[k] = learns ? reward : 0.0f;
      tile.magnitude[k] = updated ? magnitude : 0.0f;
      tile.updated[k] = updated;
      tile.failed[k] = learns - updated;
      tile.ended[k] = (flags & kEpisodeEnd) != 0 ? learns : 0;
      if constexpr (kTarget != TdTarget::kSampled) {
        // The state may be the one whose value has moved.
        const std::int32_t same = states[k] == previous_states[k] ? action : -1;
#pragma GCC unroll 32
        for (int a = 0; a < kActions; ++a) q.value[a] = same == a ? moved : q.value[a];
        chosen = behave(kTarget, q, kActions, rates, tile.draw(k));
      }
      std::uint32_t* const record = records + k * kRecordWords;
      record[0] = static_cast<std::uint32_t>(chosen);
      record[1] = 0;
      record[2] = 0;
      record[3] = 0;
    }
    store_values(rows, n, tile);
  }

  void store_values(const TileRows& rows, int n, const Tile<kActions>& tile) const {
    float* table = rows.weights;
    for (int k = 0; k < n; ++k) {
      table[static_cast<std::size_t>(rows.previous_states[k]) * kActions + rows.previous[k * kRecordWords]] =
          tile.moved[k];
      LearnerProgress& p = rows.progress[k];
      p.episode_return += tile.reward[k];
      p.error_sum += tile.magnitude[k];
      p.updates += tile.updated[k];
      p.failed |= tile.failed[k];
      table += rows.table_size;
    }
    std::int32_t ended[kTile + kLaneListSlack];
    const int count = list_set_lanes(tile.ended, n, 0, ended);
    for (int j = 0; j < count; ++j) end_episode(problem_.config, rows.progress[ended[j]]);
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
