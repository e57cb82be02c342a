// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/classic_control/cartpole.py
//
// CartPole: a pole hinged on a cart is kept upright by pushing the cart left or right (Barto, Sutton & Anderson 1983).
//
// | part        | value                                                                                       |
// |-------------|---------------------------------------------------------------------------------------------|
// | observation | 0 x [m], 1 x_dot [m/s], 2 theta [rad], 3 theta_dot [rad/s]                                   |
// | action      | 0 push left, 1 push right (10 N)                                                            |
// | reward      | +1 for every step, the last included; sutton_barto_reward: 0, and -1 on termination          |
// | start       | all four uniform in [reset_low, reset_high)                                                 |
// | terminated  | |x| > 2.4 or |theta| > 12 degrees                                                           |
// | truncated   | after 500 steps (v1) or 200 (v0)                                                            |
//
// Explicit Euler: positions advance with the old velocities. float32 where Gymnasium keeps its state in float64.
#pragma once

#include "sim/environment.h"
#include "sim/reset_range.h"

namespace stampede {

struct CartPole {
  struct State {
    float x, x_dot, theta, theta_dot;
  };
  struct Params {
    float gravity = 9.8f;
    float mass_cart = 1.0f;
    float mass_pole = 0.1f;
    float half_length = 0.5f;
    float force = 10.0f;
    float tau = 0.02f;
    float x_threshold = 2.4f;
    float theta_threshold = 0.20943951023931953f;
    float reset_low = -0.05f;
    float reset_high = 0.05f;
    bool sutton_barto_reward = false;
    bool semi_implicit = false;
  };
  using Action = std::int32_t;

  static constexpr Space kObservation =
      Space::box({-4.8f, -kUnbounded, -0.41887903f, -kUnbounded}, {4.8f, kUnbounded, 0.41887903f, kUnbounded});
  static constexpr const char* kReference = "https://gymnasium.farama.org/environments/classic_control/cart_pole/";
  static constexpr EnvSpec specs[] = {
      {"CartPole-v1", kObservation, Space::discrete(2), 500, 475.0f, kReference},
      {"CartPole-v0", kObservation, Space::discrete(2), 200, 195.0f, kReference},
  };
  static constexpr StateField<State> state_fields[] = {
      {"x", &State::x}, {"x_dot", &State::x_dot}, {"theta", &State::theta}, {"theta_dot", &State::theta_dot}};
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "gravity", .help = "m/s^2", .real = &Params::gravity, .min = 0, .max = 100},
      {.name = "masscart", .help = "kg", .real = &Params::mass_cart, .min = 0.01, .max = 100},
      {.name = "masspole", .help = "kg", .real = &Params::mass_pole, .min = 0.001, .max = 100},
      {.name = "length", .help = "half the pole's length, m", .real = &Params::half_length, .min = 0.01, .max = 100},
      {.name = "force_mag", .help = "N", .real = &Params::force, .min = 0, .max = 1000},
      {.name = "tau", .help = "seconds per step", .real = &Params::tau, .min = 1e-5, .max = 1},
      {.name = "x_threshold", .help = "m", .real = &Params::x_threshold, .min = 0.01, .max = 1000},
      {.name = "theta_threshold", .help = "rad", .real = &Params::theta_threshold, .min = 0.001, .max = 3.14},
      {.name = "reset_low", .help = "lower end of the start state", .real = &Params::reset_low, .min = -1, .max = 1},
      {.name = "reset_high", .help = "upper end of the start state", .real = &Params::reset_high, .min = -1, .max = 1},
      {.name = "sutton_barto_reward", .help = "0 per step, -1 on termination", .flag = &Params::sutton_barto_reward},
      {.name = "semi_implicit", .help = "positions use new velocities", .flag = &Params::semi_implicit},
  };

  static void check(const Params& p) { check_reset_range(p.reset_low, p.reset_high); }

  HD static void reset(const Params& p, State& s, Rng& rng) {
    s.x = rng.uniform(p.reset_low, p.reset_high);
    s.x_dot = rng.uniform(p.reset_low, p.reset_high);
    s.theta = rng.uniform(p.reset_low, p.reset_high);
    s.theta_dot = rng.uniform(p.reset_low, p.reset_high);
  }

  HD static StepResult step(const Params& p, State& s, Action action, Rng&) {
    const SinCos angle = sin_cos(s.theta);
    const float force = action ? p.force : -p.force;
    const float inverse_mass = 1.0f / (p.mass_cart + p.mass_pole);
    const float pole_moment = p.mass_pole * p.half_length;
    const float temp = fused(pole_moment * s.theta_dot * s.theta_dot, angle.sin, force) * inverse_mass;
    const float theta_acc = (p.gravity * angle.sin - angle.cos * temp) /
                            (p.half_length * (4.0f / 3.0f - p.mass_pole * angle.cos * angle.cos * inverse_mass));
    const float x_acc = temp - pole_moment * theta_acc * angle.cos * inverse_mass;
    const float x_dot = fused(p.tau, x_acc, s.x_dot);
    const float theta_dot = fused(p.tau, theta_acc, s.theta_dot);
    s.x = fused(p.tau, select_uniform(p.semi_implicit, x_dot, s.x_dot), s.x);
    s.theta = fused(p.tau, select_uniform(p.semi_implicit, theta_dot, s.theta_dot), s.theta);
    s.x_dot = x_dot;
    s.theta_dot = theta_dot;
    const bool fallen =
        (s.x < -p.x_threshold) | (s.x > p.x_threshold) | (s.theta < -p.theta_threshold) | (s.theta > p.theta_threshold);
    return {select_uniform(p.sutton_barto_reward, fallen ? -1.0f : 0.0f, 1.0f), fallen};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) {
    obs.set(0, s.x);
    obs.set(1, s.x_dot);
    obs.set(2, s.theta);
    obs.set(3, s.theta_dot);
  }
};

}  // namespace stampede
