// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/classic_control/mountain_car.py
//
// MountainCar: an underpowered car must rock in a valley to climb the right hill (Moore 1990).
//
// | part        | value                                                                        |
// |-------------|------------------------------------------------------------------------------|
// | observation | 0 position within [-1.2, 0.6], 1 velocity within [-0.07, 0.07]               |
// | action      | 0 push left, 1 nothing, 2 push right                                         |
// | reward      | -1 for every step                                                            |
// | start       | position uniform in [reset_low, reset_high), velocity 0                      |
// | terminated  | position >= 0.5 and velocity >= goal_velocity                                |
// | truncated   | after 200 steps                                                              |
//
// The velocity is clipped before it moves the car and becomes 0 at the left wall. float32 where Gymnasium keeps its
// state in float64.
#pragma once

#include "sim/environment.h"
#include "sim/reset_range.h"

namespace stampede {

struct MountainCar {
  struct State {
    float position, velocity;
  };
  struct Params {
    float goal_velocity = 0.0f;
    float force = 0.001f;
    float gravity = 0.0025f;
    float reset_low = -0.6f;
    float reset_high = -0.4f;
  };
  using Action = std::int32_t;

  static constexpr float kMinPosition = -1.2f;
  static constexpr float kMaxPosition = 0.6f;
  static constexpr float kMaxSpeed = 0.07f;
  static constexpr float kGoal = 0.5f;
  static constexpr EnvSpec specs[] = {
      {"MountainCar-v0", Space::box({kMinPosition, -kMaxSpeed}, {kMaxPosition, kMaxSpeed}), Space::discrete(3), 200,
       -110.0f, "https://gymnasium.farama.org/environments/classic_control/mountain_car/"},
  };
  static constexpr StateField<State> state_fields[] = {{"position", &State::position}, {"velocity", &State::velocity}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "goal_velocity", .help = "needed at the goal", .real = &Params::goal_velocity, .min = -1, .max = 1},
      {.name = "force", .help = "of a push", .real = &Params::force, .min = 0, .max = 1},
      {.name = "gravity", .help = "pull of the slope", .real = &Params::gravity, .min = 0, .max = 1},
      {.name = "reset_low", .help = "lower end of the start", .real = &Params::reset_low, .min = -1.2, .max = 0.6},
      {.name = "reset_high", .help = "upper end of the start", .real = &Params::reset_high, .min = -1.2, .max = 0.6},
  };

  static void check(const Params& p) { check_reset_range(p.reset_low, p.reset_high); }

  HD static void reset(const Params& p, State& s, Rng& rng) {
    s.position = rng.uniform(p.reset_low, p.reset_high);
    s.velocity = 0.0f;
  }

  HD static StepResult step(const Params& p, State& s, Action action, Rng&) {
    const float push = static_cast<float>(action - 1) * p.force;
    const float slope = sin_cos(3.0f * s.position).cos * p.gravity;
    const float pushed = s.velocity + (push - slope);
    const float velocity = clamp(pushed, -kMaxSpeed, kMaxSpeed);
    const float moved = s.position + velocity;
    s.position = clamp(moved, kMinPosition, kMaxPosition);
    s.velocity = (moved <= kMinPosition) & (pushed < 0.0f) ? 0.0f : velocity;
    const std::int32_t reached = (moved >= kGoal) & (velocity >= p.goal_velocity);
    return {-1.0f, reached};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) {
    obs.set(0, s.position);
    obs.set(1, s.velocity);
  }
};

}  // namespace stampede
