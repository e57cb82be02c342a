// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/classic_control/continuous_mountain_car.py
//
// MountainCarContinuous: MountainCar with a continuous force and a price on it.
//
// | part        | value                                                                        |
// |-------------|------------------------------------------------------------------------------|
// | observation | 0 position within [-1.2, 0.6], 1 velocity within [-0.07, 0.07]               |
// | action      | force, clipped to [-1, 1]                                                    |
// | reward      | -0.1 action^2, of the action before clipping; +100 on termination            |
// | start       | position uniform in [reset_low, reset_high), velocity 0                      |
// | terminated  | position >= 0.45 and velocity >= goal_velocity                               |
// | truncated   | after 999 steps                                                              |
//
// float32, as Gymnasium keeps this state after the first step.
#pragma once

#include <array>

#include "sim/environment.h"
#include "sim/reset_range.h"

namespace stampede {

struct MountainCarContinuous {
  struct State {
    float position, velocity;
  };
  struct Params {
    float goal_velocity = 0.0f;
    float power = 0.0015f;
    float gravity = 0.0025f;
    float reset_low = -0.6f;
    float reset_high = -0.4f;
  };
  using Action = std::array<float, 1>;

  static constexpr float kMinPosition = -1.2f;
  static constexpr float kMaxPosition = 0.6f;
  static constexpr float kMaxSpeed = 0.07f;
  static constexpr float kGoal = 0.45f;
  static constexpr EnvSpec specs[] = {
      {"MountainCarContinuous-v0", Space::box({kMinPosition, -kMaxSpeed}, {kMaxPosition, kMaxSpeed}),
       Space::box({-1.0f}, {1.0f}), 999, 90.0f,
       "https://gymnasium.farama.org/environments/classic_control/mountain_car_continuous/"},
  };
  static constexpr StateField<State> state_fields[] = {{"position", &State::position}, {"velocity", &State::velocity}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "goal_velocity", .help = "needed at the goal", .real = &Params::goal_velocity, .min = -1, .max = 1},
      {.name = "power", .help = "of the full force", .real = &Params::power, .min = 0, .max = 1},
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
    const float push = clamp(action[0], -1.0f, 1.0f) * p.power;
    const float slope = sin_cos(3.0f * s.position).cos * p.gravity;
    const float pushed = s.velocity + (push - slope);
    const float velocity = clamp(pushed, -kMaxSpeed, kMaxSpeed);
    const float moved = s.position + velocity;
    s.position = clamp(moved, kMinPosition, kMaxPosition);
    s.velocity = (moved <= kMinPosition) & (pushed < 0.0f) ? 0.0f : velocity;
    const std::int32_t reached = (moved >= kGoal) & (velocity >= p.goal_velocity);
    return {(reached ? 100.0f : 0.0f) - action[0] * action[0] * 0.1f, reached};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) {
    obs.set(0, s.position);
    obs.set(1, s.velocity);
  }
};

}  // namespace stampede
