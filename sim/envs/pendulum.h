// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/classic_control/pendulum.py
//
// Pendulum: a rod hinged at one end is swung up and held upright by a torque too weak to lift it directly.
//
// | part        | value                                                                              |
// |-------------|------------------------------------------------------------------------------------|
// | state       | theta [rad], 0 upright, never wrapped; theta_dot [rad/s], within [-8, 8]            |
// | observation | 0 cos theta, 1 sin theta, 2 theta_dot                                              |
// | action      | torque [N m], clipped to [-2, 2]                                                   |
// | reward      | -(wrapped theta^2 + 0.1 theta_dot^2 + 0.001 torque^2) of the state before the step |
// | start       | theta uniform in [-x_init, x_init), theta_dot in [-y_init, y_init)                 |
// | terminated  | never                                                                              |
// | truncated   | after 200 steps                                                                    |
//
// The new, clipped speed moves the angle. float32 where Gymnasium computes in float64.
#pragma once

#include <array>

#include "sim/environment.h"

namespace stampede {

struct Pendulum {
  struct State {
    float theta, theta_dot;
  };
  struct Params {
    float g = 10.0f;
    float m = 1.0f;
    float l = 1.0f;
    float dt = 0.05f;
    float x_init = kPi;
    float y_init = 1.0f;
  };
  using Action = std::array<float, 1>;

  static constexpr float kMaxSpeed = 8.0f;
  static constexpr float kMaxTorque = 2.0f;
  static constexpr EnvSpec specs[] = {
      {"Pendulum-v1", Space::box({-1.0f, -1.0f, -kMaxSpeed}, {1.0f, 1.0f, kMaxSpeed}),
       Space::box({-kMaxTorque}, {kMaxTorque}), 200, kNoThreshold,
       "https://gymnasium.farama.org/environments/classic_control/pendulum/"},
  };
  static constexpr StateField<State> state_fields[] = {{"theta", &State::theta}, {"theta_dot", &State::theta_dot}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "g", .help = "gravity, m/s^2", .real = &Params::g, .min = -100, .max = 100},
      {.name = "m", .help = "mass, kg", .real = &Params::m, .min = 0.01, .max = 100},
      {.name = "l", .help = "length, m", .real = &Params::l, .min = 0.01, .max = 100},
      {.name = "dt", .help = "seconds per step", .real = &Params::dt, .min = 1e-5, .max = 1},
      {.name = "x_init", .help = "largest start angle, rad", .real = &Params::x_init, .min = 0, .max = 100},
      {.name = "y_init", .help = "largest start speed, rad/s", .real = &Params::y_init, .min = 0, .max = kMaxSpeed},
  };

  HD static void reset(const Params& p, State& s, Rng& rng) {
    s.theta = rng.uniform(-p.x_init, p.x_init);
    s.theta_dot = rng.uniform(-p.y_init, p.y_init);
  }

  HD static StepResult step(const Params& p, State& s, Action action, Rng&) {
    const float torque = clamp(action[0], -kMaxTorque, kMaxTorque);
    const float angle = wrap_angle(s.theta);
    const float cost = angle * angle + 0.1f * (s.theta_dot * s.theta_dot) + 0.001f * (torque * torque);
    const float from_gravity = 3.0f * p.g / (2.0f * p.l) * sin_cos(s.theta).sin;
    const float from_torque = 3.0f / (p.m * (p.l * p.l)) * torque;
    s.theta_dot = clamp(s.theta_dot + (from_gravity + from_torque) * p.dt, -kMaxSpeed, kMaxSpeed);
    s.theta = s.theta + s.theta_dot * p.dt;
    return {-cost, false};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) {
    const SinCos angle = sin_cos(s.theta);
    obs.set(0, angle.cos);
    obs.set(1, angle.sin);
    obs.set(2, s.theta_dot);
  }
};

}  // namespace stampede
