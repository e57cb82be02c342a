// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/toy_text/frozen_lake.py
//
// FrozenLake: cross a slippery lake without falling into a hole.
//
// | part        | value                                                                                           |
// |-------------|-------------------------------------------------------------------------------------------------|
// | map         | rows of S start, F frozen, H hole, G goal: map_name 4x4 or 8x8, or desc, which goes before it   |
// | observation | s = row * columns + column                                                                      |
// | action      | 0 left, 1 down, 2 right, 3 up; the border stops                                                 |
// | is_slippery | (action - 1, action, action + 1) mod 4 with probability (1 - success_rate)/2, success_rate, ... |
// | reward      | reward_schedule: for entering a goal, a hole, any other tile                                    |
// | start       | uniform among the S tiles                                                                       |
// | terminated  | on a hole or a goal; a step from there stays, with reward 0                                     |
// | truncated   | after 100 steps, 200 for FrozenLake8x8-v1                                                       |
#pragma once

#include <string>

#include "kernels/error.h"
#include "sim/registry.h"

namespace stampede {

struct FrozenLake {
  static constexpr int kMaxCells = 256;
  static constexpr int kCellsPerWord = 16;
  static constexpr std::uint32_t kFrozen = 0, kStart = 1, kHole = 2, kGoal = 3;

  // Two bits per cell, row by row.
  struct Map {
    std::int32_t rows = 0, columns = 0;
    std::int32_t starts = 0, first_start = 0;
    std::uint32_t words[kMaxCells / kCellsPerWord] = {};

    HD std::uint32_t tile(std::int32_t cell) const { return (words[cell >> 4] >> ((cell & 15) * 2)) & 3u; }
  };
  struct State {
    std::int32_t s;
  };
  // Exact for the table; rounded for the step, which then needs no double precision on a GPU.
  struct Slip {
    double success, fail;  // probabilities of moving as intended, and of each of the two turns
    float left_end, straight_end;
    constexpr explicit Slip(double success_rate)
        : success(success_rate),
          fail((1.0 - success_rate) / 2.0),
          left_end(static_cast<float>(fail)),
          straight_end(static_cast<float>(fail + success_rate)) {}
  };
  struct Reward {
    double exact;
    float rounded;
    constexpr explicit Reward(double value) : exact(value), rounded(static_cast<float>(value)) {}
  };
  struct Params {
    Map map = read_map("SFFF,FHFH,FFFH,HFFG");
    Slip slip{1.0 / 3.0};
    Reward goal{1.0};
    Reward hole{0.0};
    Reward frozen{0.0};
    bool is_slippery = true;
    bool custom_map = false;
  };
  using Action = std::int32_t;

  static constexpr const char* kReference = "https://gymnasium.farama.org/environments/toy_text/frozen_lake/";
  static constexpr EnvSpec specs[] = {
      {"FrozenLake-v1", Space::discrete(16), Space::discrete(4), 100, 0.70f, kReference},
      {"FrozenLake8x8-v1", Space::discrete(64), Space::discrete(4), 200, 0.85f, kReference, "map_name=8x8"},
  };
  static constexpr StateField<State> state_fields[] = {
      {.name = "s", .integer = &State::s, .min = 0, .max = kMaxCells - 1}};

  static void parse_map_name(Params& p, std::string_view text) {
    const bool large = text == "8x8";
    if (!large && text != "4x4") {
      throw UsageError("env.map_name: '" + std::string(text) + "' is neither 4x4 nor 8x8; desc takes any other map");
    }
    if (p.custom_map) return;
    p.map = large ? read_map("SFFFFFFF,FFFFFFFF,FFFHFFFF,FFFFFHFF,FFFHFFFF,FHHFFFHF,FHFFHFHF,FFFHFFFG")
                  : read_map("SFFF,FHFH,FFFH,HFFG");
  }
  static void parse_desc(Params& p, std::string_view text) {
    if (text.empty()) return;  // the default, as a run's own configuration says it
    std::string rows;
    for (const std::string_view row : split_list(text)) rows.append(row) += ',';
    rows.pop_back();
    p.map = read_map(rows);
    p.custom_map = true;
  }
  static void parse_success_rate(Params& p, std::string_view text) {
    const double rate = parse_number_list("success_rate", text, 1)[0];
    if (rate < 0 || rate > 1) {
      throw UsageError("env.success_rate: " + std::string(text) + " is out of range [0, 1]");
    }
    p.slip = Slip(rate);
  }
  static void parse_reward_schedule(Params& p, std::string_view text) {
    const auto rewards = parse_number_list("reward_schedule", text, 3);
    p.goal = Reward(rewards[0]);
    p.hole = Reward(rewards[1]);
    p.frozen = Reward(rewards[2]);
  }
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "map_name", .help = "4x4 or 8x8", .parse = parse_map_name, .default_text = "4x4"},
      {.name = "desc", .help = "rows of S F H G, comma-separated, in place of map_name", .parse = parse_desc},
      {.name = "is_slippery", .help = "moves may turn by 90 degrees", .flag = &Params::is_slippery},
      {.name = "success_rate",
       .help = "of moving as intended when slippery, 0 to 1",
       .parse = parse_success_rate,
       .default_text = "0.333333333333333333"},
      {.name = "reward_schedule",
       .help = "for entering goal,hole,frozen",
       .parse = parse_reward_schedule,
       .default_text = "1,0,0"},
  };
  static Space observation_space(const Params& p) { return Space::discrete(p.map.rows * p.map.columns); }

  HD static void reset(const Params& p, State& s, Rng& rng) {
    s.s = p.map.first_start;
    if (p.map.starts == 1) return;
    auto skip = static_cast<std::int32_t>(rng.below(static_cast<std::uint32_t>(p.map.starts)));
    while (skip > 0) skip -= p.map.tile(++s.s) == kStart;
  }

  HD static StepResult step(const Params& p, State& s, Action action, Rng& rng) {
    const float left_end = p.slip.left_end, straight_end = p.slip.straight_end;
    const float goal = p.goal.rounded, hole = p.hole.rounded, frozen = p.frozen.rounded;
    const std::int32_t slippery = p.is_slippery;
    const float u = rng.uniform();
    const std::int32_t turn = (u >= left_end) + (u >= straight_end) - 1;
    const std::int32_t direction = (action + slippery * turn) & 3;
    const std::int32_t moves = p.map.tile(s.s) < kHole;
    s.s += moves * shift(p.map, s.s, direction);
    const std::uint32_t tile = p.map.tile(s.s);
    const float reward = tile == kGoal ? goal : (tile == kHole ? hole : frozen);
    return {moves ? reward : 0.0f, tile >= kHole};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) { obs.set(0, s.s); }

  template <class Sink>
  static void transitions(const Params& p, int state, int action, Sink&& sink) {
    if (p.map.tile(state) >= kHole) return sink(1.0, state, 0.0, true);
    const int turn = p.is_slippery ? 1 : 0;
    for (int k = -turn; k <= turn; ++k) {
      const std::int32_t entered = state + shift(p.map, state, (action + k) & 3);
      const std::uint32_t tile = p.map.tile(entered);
      const double reward = tile == kGoal ? p.goal.exact : (tile == kHole ? p.hole.exact : p.frozen.exact);
      const double probability = k == 0 ? p.slip.success : p.slip.fail;
      sink(turn ? probability : 1.0, entered, reward, tile >= kHole);
    }
  }
  template <class Sink>
  static void start_states(const Params& p, Sink&& sink) {
    for (std::int32_t s = 0; s < p.map.rows * p.map.columns; ++s) {
      if (p.map.tile(s) == kStart) sink(1.0 / p.map.starts, s);
    }
  }

 private:
  // Throws UsageError unless the rows are of equal length, at most kMaxCells cells of S F H G in all, with a start.
  static constexpr Map read_map(std::string_view text) {
    Map map;
    std::int32_t cell = 0;
    std::int32_t width = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (i == text.size() || text[i] == ',') {
        if (map.rows == 0) map.columns = width;
        if (width == 0 || width != map.columns) throw UsageError("env.desc: the rows are not of equal length");
        ++map.rows;
        width = 0;
        continue;
      }
      const std::size_t tile = std::string_view("FSHG").find(text[i]);
      if (tile == std::string_view::npos) throw UsageError("env.desc: only S, F, H and G are tiles");
      if (cell == kMaxCells) throw UsageError("env.desc: a map has at most " + std::to_string(kMaxCells) + " cells");
      if (tile == kStart && map.starts++ == 0) map.first_start = cell;
      map.words[cell / kCellsPerWord] |= static_cast<std::uint32_t>(tile) << (cell % kCellsPerWord * 2);
      ++cell;
      ++width;
    }
    if (map.starts == 0) throw UsageError("env.desc: the map has no S");
    return map;
  }

  // What a move adds to the cell: 0 at the border.
  HD static std::int32_t shift(const Map& map, std::int32_t cell, std::int32_t direction) {
    const std::int32_t row = (cell * ((65535 + map.columns) / map.columns)) >> 16;  // cell / columns
    const std::int32_t column = cell - map.columns * row;
    const std::int32_t down = ((direction == 1) & (row < map.rows - 1)) - ((direction == 3) & (row > 0));
    const std::int32_t right = ((direction == 2) & (column < map.columns - 1)) - ((direction == 0) & (column > 0));
    return map.columns * down + right;
  }
};

}  // namespace stampede
