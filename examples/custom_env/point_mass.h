// SPDX-License-Identifier: Apache-2.0
// An environment outside stampede's tree: a point mass on a line that must come to rest at the origin.
//
// | part        | value                                                    |
// |-------------|----------------------------------------------------------|
// | observation | 0 position [m], 1 velocity [m/s]                         |
// | action      | 0 push left, 1 no push, 2 push right (1 m/s^2)           |
// | reward      | -|position| per step                                     |
// | start       | position uniform in [-1, 1), velocity 0                  |
// | terminated  | |position| > 2 m                                         |
// | truncated   | after 100 steps                                          |
#pragma once

#include "sim/environment.h"

struct PointMass {
  struct State {
    float position, velocity;
  };
  struct Params {
    float push = 1.0f;
    float tau = 0.05f;
  };
  using Action = std::int32_t;

  static constexpr stampede::EnvSpec specs[] = {
      {"PointMass-v0", stampede::Space::box({-2.0f, -stampede::kUnbounded}, {2.0f, stampede::kUnbounded}),
       stampede::Space::discrete(3), 100, -20.0f, "examples/custom_env"}};
  static constexpr stampede::StateField<State> state_fields[] = {{"position", &State::position},
                                                                 {"velocity", &State::velocity}};
  static constexpr stampede::ParamField<Params> param_fields[] = {
      {.name = "push", .help = "m/s^2", .real = &Params::push, .min = 0.01, .max = 100},
      {.name = "tau", .help = "seconds per step", .real = &Params::tau, .min = 1e-4, .max = 1}};

  HD static void reset(const Params&, State& s, stampede::Rng& rng) { s = {rng.uniform(-1.0f, 1.0f), 0.0f}; }

  HD static stampede::StepResult step(const Params& p, State& s, Action action, stampede::Rng&) {
    s.velocity += p.tau * p.push * static_cast<float>(action - 1);
    s.position += p.tau * s.velocity;
    const float distance = s.position < 0.0f ? -s.position : s.position;
    return {-distance, distance > 2.0f};
  }

  HD static void observe(const Params&, const State& s, stampede::ObsWriter obs) {
    obs.set(0, s.position);
    obs.set(1, s.velocity);
  }
};
