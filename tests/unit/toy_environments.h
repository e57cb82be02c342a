// SPDX-License-Identifier: Apache-2.0
// Environments whose every number is known in advance: what tests train and sample on.
#pragma once

#include <array>

#include "sim/register_environment.h"

namespace stampede {

// The observation names its episode and its step; the reward of step t is t + 1. An episode of number `id` terminates
// after 1 + id % 9 steps and is truncated after 6, so that every kind of end occurs.
struct EpisodeClock {
  struct State {
    std::int32_t id, t;
  };
  struct Params {
    float bonus = 0.0f;  // added to every reward
  };
  using Action = std::int32_t;

  static constexpr int kLimit = 6;
  static constexpr EnvSpec specs[] = {{"EpisodeClock-v0", Space::box<2>({0.0f, 0.0f}, {kUnbounded, kUnbounded}),
                                       Space::discrete(3), kLimit, kNoThreshold, "test"}};
  static constexpr StateField<State> state_fields[] = {{.name = "id", .integer = &State::id},
                                                       {.name = "t", .integer = &State::t}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "bonus", .help = "added to every reward", .real = &Params::bonus}};

  static constexpr int natural_length(int id) { return 1 + id % 9; }
  static constexpr int length(int id) { return natural_length(id) < kLimit ? natural_length(id) : kLimit; }
  static constexpr bool terminates(int id) { return natural_length(id) <= kLimit; }

  static void reset(const Params&, State& s, Rng& rng) { s = {static_cast<std::int32_t>(rng.below(1u << 20)), 0}; }
  static StepResult step(const Params& p, State& s, Action, Rng&) {
    ++s.t;
    return {static_cast<float>(s.t) + p.bonus, s.t >= natural_length(s.id)};
  }
  static void observe(const Params&, const State& s, ObsWriter obs) {
    obs.set(0, static_cast<float>(s.id));
    obs.set(1, static_cast<float>(s.t));
  }
};

// Reward 1 for every step. ConstantReward-v0 looks the same forever and is truncated every 7 steps: its value is
// 1 / (1 - gamma). CountdownReward-v0 shows the step and terminates after 4: its value is a finite sum.
struct ConstantReward {
  struct State {
    std::int32_t t;
  };
  struct Params {
    std::int32_t ends_after = 0;  // steps until termination; 0 = never
  };
  using Action = std::int32_t;

  static constexpr int kObservations = 8;
  static constexpr EnvSpec specs[] = {
      {"ConstantReward-v0", Space::discrete(kObservations), Space::discrete(2), 7, kNoThreshold, "test"},
      {"CountdownReward-v0", Space::discrete(kObservations), Space::discrete(2), kNoTimeLimit, kNoThreshold, "test",
       "ends_after=4"},
  };
  static constexpr StateField<State> state_fields[] = {{.name = "t", .integer = &State::t}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "ends_after", .help = "steps until termination", .integer = &Params::ends_after, .min = 0, .max = 7}};

  static void reset(const Params&, State& s, Rng&) { s.t = 0; }
  static StepResult step(const Params& p, State& s, Action, Rng&) {
    s.t += p.ends_after > 0;
    return {1.0f, p.ends_after > 0 && s.t >= p.ends_after};
  }
  static void observe(const Params&, const State& s, ObsWriter obs) { obs.set(0, s.t); }
};

// Two arms of fixed rewards, one pull an episode.
struct Bandit {
  struct State {
    std::int32_t pulls;
  };
  struct Params {
    float first = 0.0f, second = 1.0f;  // rewards
  };
  using Action = std::int32_t;

  static constexpr EnvSpec specs[] = {
      {"Bandit-v0", Space::discrete(2), Space::discrete(2), kNoTimeLimit, kNoThreshold, "test"}};
  static constexpr StateField<State> state_fields[] = {{.name = "pulls", .integer = &State::pulls}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "first", .help = "reward of action 0", .real = &Params::first},
      {.name = "second", .help = "reward of action 1", .real = &Params::second}};

  static void reset(const Params&, State& s, Rng&) { s.pulls = 0; }
  static StepResult step(const Params& p, State& s, Action action, Rng&) {
    s.pulls = 1;
    return {action == 0 ? p.first : p.second, true};
  }
  static void observe(const Params&, const State& s, ObsWriter obs) { obs.set(0, s.pulls); }
};

// Reward 1 - (action - 0.5)^2 with actions in [-2, 2]. SquaredAction-v0 looks the same forever and is truncated every 7
// steps: the best value is 1 / (1 - gamma), at action 0.5. SquaredActionEnding-v0 shows the step and terminates
// after 4.
struct SquaredAction {
  struct State {
    std::int32_t t;
  };
  struct Params {
    std::int32_t ends_after = 0;  // steps until termination; 0 = never
  };
  using Action = std::array<float, 1>;

  static constexpr EnvSpec specs[] = {
      {"SquaredAction-v0", Space::box<1>({0.0f}, {kUnbounded}), Space::box<1>({-2.0f}, {2.0f}), 7, kNoThreshold,
       "test"},
      {"SquaredActionEnding-v0", Space::box<1>({0.0f}, {kUnbounded}), Space::box<1>({-2.0f}, {2.0f}), kNoTimeLimit,
       kNoThreshold, "test", "ends_after=4"},
  };
  static constexpr StateField<State> state_fields[] = {{.name = "t", .integer = &State::t}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "ends_after", .help = "steps until termination", .integer = &Params::ends_after, .min = 0, .max = 7}};

  static void reset(const Params&, State& s, Rng&) { s.t = 0; }
  static StepResult step(const Params& p, State& s, Action action, Rng&) {
    s.t += p.ends_after > 0;
    const float off = action[0] - 0.5f;
    return {1.0f - off * off, p.ends_after > 0 && s.t >= p.ends_after};
  }
  static void observe(const Params&, const State& s, ObsWriter obs) { obs.set(0, static_cast<float>(s.t)); }
};

// The built-in environments and those above.
EnvRegistry registry_with_toys();

}  // namespace stampede
