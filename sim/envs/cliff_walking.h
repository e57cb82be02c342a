// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/toy_text/cliffwalking.py
//
// CliffWalking: cross a 4x12 grid along a cliff (Sutton & Barto, example 6.6).
//
// | part        | value                                                                                     |
// |-------------|-------------------------------------------------------------------------------------------|
// | observation | s = row * 12 + column                                                                     |
// | action      | 0 up, 1 right, 2 down, 3 left; the border stops                                           |
// | slippery    | (action - 1, action, action + 1) mod 4 with probability 1/3 each                          |
// | reward      | -1 for every step; -100 for a step into the cliff (row 3, columns 1 to 10)                |
// | start       | 36, bottom left; also where a step into the cliff ends, without terminating               |
// | terminated  | on entering 47, bottom right                                                              |
// | truncated   | never: Gymnasium registers no limit                                                       |
#pragma once

#include "sim/environment.h"

namespace stampede {

struct CliffWalking {
  struct State {
    std::int32_t s;
  };
  struct Params {
    alignas(4) bool is_slippery = false;
  };
  using Action = std::int32_t;

  static constexpr int kColumns = 12;
  static constexpr int kStates = 4 * kColumns;
  static constexpr std::int32_t kStart = 36;
  static constexpr std::int32_t kGoal = 47;
  static constexpr const char* kReference = "https://gymnasium.farama.org/environments/toy_text/cliff_walking/";
  static constexpr EnvSpec specs[] = {
      {"CliffWalking-v1", Space::discrete(kStates), Space::discrete(4), kNoTimeLimit, kNoThreshold, kReference},
      {"CliffWalkingSlippery-v1", Space::discrete(kStates), Space::discrete(4), kNoTimeLimit, kNoThreshold, kReference,
       "is_slippery=true"},
  };
  static constexpr StateField<State> state_fields[] = {
      {.name = "s", .integer = &State::s, .min = 0, .max = kStates - 1}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "is_slippery", .help = "moves may turn by 90 degrees", .flag = &Params::is_slippery},
  };

  HD static void reset(const Params&, State& s, Rng&) { s.s = kStart; }

  HD static StepResult step(const Params& p, State& s, Action action, Rng& rng) {
    const std::int32_t slippery = p.is_slippery;
    const float u = rng.uniform();
    const std::int32_t turn = (u >= 1.0f / 3.0f) + (u >= 2.0f / 3.0f) - 1;
    const std::int32_t entered = neighbour(s.s, (action + slippery * turn) & 3);
    const std::int32_t cliff = is_cliff(entered);
    s.s = cliff ? kStart : entered;
    return {cliff ? -100.0f : -1.0f, entered == kGoal};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) { obs.set(0, s.s); }

  template <class Sink>
  static void transitions(const Params& p, int state, int action, Sink&& sink) {
    const int turn = p.is_slippery ? 1 : 0;
    for (int k = -turn; k <= turn; ++k) {
      const std::int32_t entered = neighbour(state, (action + k) & 3);
      const bool cliff = is_cliff(entered);
      sink(1.0 / (1 + 2 * turn), cliff ? kStart : entered, cliff ? -100.0 : -1.0, entered == kGoal);
    }
  }
  template <class Sink>
  static void start_states(const Params&, Sink&& sink) {
    sink(1.0, kStart);
  }

 private:
  HD static bool is_cliff(std::int32_t cell) { return (cell > kStart) & (cell < kGoal); }

  HD static std::int32_t neighbour(std::int32_t cell, std::int32_t direction) {
    const std::int32_t row = (cell * 43) >> 9;  // cell / 12
    const std::int32_t column = cell - kColumns * row;
    const std::int32_t down = ((direction == 2) & (row < 3)) - ((direction == 0) & (row > 0));
    const std::int32_t right = ((direction == 1) & (column < kColumns - 1)) - ((direction == 3) & (column > 0));
    return cell + kColumns * down + right;
  }
};

}  // namespace stampede
