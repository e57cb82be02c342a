// SPDX-License-Identifier: Apache-2.0
// No reference implementation: the table below defines it.
//
// GridWorld: walk from the top left to the bottom right of a 4x4 grid.
//
// | part        | value                                                                                          |
// |-------------|------------------------------------------------------------------------------------------------|
// | state       | cell, 1 top left ... 16 bottom right, row by row                                               |
// | observation | cell - 1                                                                                       |
// | action      | 0 up, 1 right, 2 down, 3 left; the border stops                                                |
// | reward      | sparse: +1 on entering 16, else 0; dense: 1/sqrt(x^2 + y^2) of the cell entered, x and y its   |
// |             | columns and rows away from 16, and 1 at 16                                                     |
// | start       | 1                                                                                              |
// | terminated  | on entering 16; a step from there stays, with reward 0                                         |
// | truncated   | after 100 steps                                                                                |
#pragma once

#include <cmath>
#include <string>

#include "kernels/error.h"
#include "sim/environment.h"

namespace stampede {

struct GridWorld {
  struct State {
    std::int32_t cell;
  };
  struct Params {
    alignas(4) bool dense = false;
  };
  using Action = std::int32_t;

  static constexpr EnvSpec specs[] = {
      {.id = "GridWorld-v0",
       .observation = Space::discrete(16),
       .action = Space::discrete(4),
       .time_limit = 100,
       .first_state = 1},
  };
  static constexpr StateField<State> state_fields[] = {{.name = "cell", .integer = &State::cell, .min = 1, .max = 16}};

  static void parse_reward(Params& p, std::string_view text) {
    if (text != "sparse" && text != "dense") {
      throw UsageError("env.reward: '" + std::string(text) + "' is neither sparse nor dense");
    }
    p.dense = text == "dense";
  }
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "reward", .help = "sparse or dense", .parse = parse_reward, .default_text = "sparse"},
  };

  HD static void reset(const Params&, State& s, Rng&) { s.cell = 1; }

  HD static StepResult step(const Params& p, State& s, Action action, Rng&) {
    const std::int32_t moves = s.cell < 16;
    const std::int32_t entered = s.cell - 1 + moves * shift(s.cell - 1, action);
    s.cell = entered + 1;
    const std::int32_t goal = entered == 15;
    const float closeness = 1.0f / square_root(static_cast<float>(squared_distance(entered)));
    const float reward = goal ? 1.0f : closeness * (p.dense ? 1.0f : 0.0f);
    return {moves ? reward : 0.0f, goal};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) { obs.set(0, s.cell - 1); }

  template <class Sink>
  static void transitions(const Params& p, int state, int action, Sink&& sink) {
    if (state == 15) return sink(1.0, 15, 0.0, true);
    const std::int32_t entered = state + shift(state, action);
    const bool goal = entered == 15;
    const double dense = goal ? 1.0 : 1.0 / std::sqrt(static_cast<double>(squared_distance(entered)));
    sink(1.0, entered, p.dense ? dense : (goal ? 1.0 : 0.0), goal);
  }
  template <class Sink>
  static void start_states(const Params&, Sink&& sink) {
    sink(1.0, 0);
  }

 private:
  HD static std::int32_t squared_distance(std::int32_t index) {
    const std::int32_t x = 3 - (index & 3);
    const std::int32_t y = 3 - (index >> 2);
    return x * x + y * y;
  }

  // What a move adds to the index: 0 at the border.
  HD static std::int32_t shift(std::int32_t index, std::int32_t direction) {
    const std::int32_t row = index >> 2;
    const std::int32_t column = index & 3;
    const std::int32_t down = ((direction == 2) & (row < 3)) - ((direction == 0) & (row > 0));
    const std::int32_t right = ((direction == 1) & (column < 3)) - ((direction == 3) & (column > 0));
    return 4 * down + right;
  }
};

}  // namespace stampede
