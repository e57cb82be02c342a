// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/classic_control/acrobot.py
//
// Acrobot: two hanging links, driven at the joint between them, must swing the free end above a line (Sutton 1996).
//
// | part        | value                                                                                     |
// |-------------|-------------------------------------------------------------------------------------------|
// | state       | theta1, theta2 within [-pi, pi] rad, 0 hanging, theta2 relative to link 1; their speeds    |
// | observation | 0 cos theta1, 1 sin theta1, 2 cos theta2, 3 sin theta2, 4 theta1_dot, 5 theta2_dot        |
// | action      | 0, 1, 2: torque -1, 0, +1 N m                                                             |
// | reward      | -1 for every step, 0 on termination                                                       |
// | start       | all four uniform in [reset_low, reset_high)                                               |
// | terminated  | -cos theta1 - cos(theta1 + theta2) > 1                                                    |
// | truncated   | after 500 steps                                                                           |
//
// One step of the classical Runge-Kutta method, then wrapping, then speed limits of 4 pi and 9 pi rad/s. The equations
// are those of Sutton & Barto's book; book_or_nips=nips drops the term that the NeurIPS paper lacks. float32 where
// Gymnasium computes in float64.
#pragma once

#include <string>

#include "kernels/error.h"
#include "sim/environment.h"
#include "sim/reset_range.h"

namespace stampede {

struct Acrobot {
  struct State {
    float theta1, theta2, theta1_dot, theta2_dot;
  };
  struct Params {
    float dt = 0.2f;
    float torque_noise_max = 0.0f;
    float length1 = 1.0f;
    float mass1 = 1.0f;
    float mass2 = 1.0f;
    float com1 = 0.5f;
    float com2 = 0.5f;
    float inertia = 1.0f;
    float gravity = 9.8f;
    float reset_low = -0.1f;
    float reset_high = 0.1f;
    bool nips = false;
  };
  using Action = std::int32_t;

  static constexpr float kMaxSpeed1 = 4.0f * kPi;
  static constexpr float kMaxSpeed2 = 9.0f * kPi;
  static constexpr EnvSpec specs[] = {
      {"Acrobot-v1",
       Space::box({-1.0f, -1.0f, -1.0f, -1.0f, -kMaxSpeed1, -kMaxSpeed2},
                  {1.0f, 1.0f, 1.0f, 1.0f, kMaxSpeed1, kMaxSpeed2}),
       Space::discrete(3), 500, -100.0f, "https://gymnasium.farama.org/environments/classic_control/acrobot/"},
  };
  static constexpr StateField<State> state_fields[] = {{"theta1", &State::theta1},
                                                       {"theta2", &State::theta2},
                                                       {"theta1_dot", &State::theta1_dot},
                                                       {"theta2_dot", &State::theta2_dot}};

  static void parse_book_or_nips(Params& p, std::string_view text) {
    if (text != "book" && text != "nips") {
      throw UsageError("env.book_or_nips: '" + std::string(text) + "' is neither book nor nips");
    }
    p.nips = text == "nips";
  }
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "book_or_nips", .help = "equations: book or nips", .parse = parse_book_or_nips, .default_text = "book"},
      {.name = "dt", .help = "seconds per step", .real = &Params::dt, .min = 1e-5, .max = 1},
      {.name = "torque_noise_max", .help = "N m", .real = &Params::torque_noise_max, .min = 0, .max = 100},
      {.name = "link_length_1", .help = "m", .real = &Params::length1, .min = 0.01, .max = 100},
      {.name = "link_mass_1", .help = "kg", .real = &Params::mass1, .min = 0.01, .max = 100},
      {.name = "link_mass_2", .help = "kg", .real = &Params::mass2, .min = 0.01, .max = 100},
      {.name = "link_com_pos_1", .help = "centre of mass, m", .real = &Params::com1, .min = 0.01, .max = 100},
      {.name = "link_com_pos_2", .help = "centre of mass, m", .real = &Params::com2, .min = 0.01, .max = 100},
      {.name = "link_moi", .help = "moment of inertia", .real = &Params::inertia, .min = 0.01, .max = 100},
      {.name = "gravity", .help = "m/s^2", .real = &Params::gravity, .min = 0, .max = 100},
      {.name = "reset_low", .help = "lower end of the start state", .real = &Params::reset_low, .min = -3, .max = 3},
      {.name = "reset_high", .help = "upper end of the start state", .real = &Params::reset_high, .min = -3, .max = 3},
  };

  static void check(const Params& p) { check_reset_range(p.reset_low, p.reset_high); }

  HD static void reset(const Params& p, State& s, Rng& rng) {
    s.theta1 = rng.uniform(p.reset_low, p.reset_high);
    s.theta2 = rng.uniform(p.reset_low, p.reset_high);
    s.theta1_dot = rng.uniform(p.reset_low, p.reset_high);
    s.theta2_dot = rng.uniform(p.reset_low, p.reset_high);
  }

  HD static StepResult step(const Params& p, State& s, Action action, Rng& rng) {
    const float noise = p.torque_noise_max * (2.0f * rng.uniform() - 1.0f);
    const float torque = static_cast<float>(action - 1) + noise;
    const State next = runge_kutta(p, s, torque);
    s.theta1 = wrapped(next.theta1);
    s.theta2 = wrapped(next.theta2);
    s.theta1_dot = clamp(next.theta1_dot, -kMaxSpeed1, kMaxSpeed1);
    s.theta2_dot = clamp(next.theta2_dot, -kMaxSpeed2, kMaxSpeed2);
    const bool above = -sin_cos(s.theta1).cos - sin_cos(s.theta2 + s.theta1).cos > 1.0f;
    return {above ? 0.0f : -1.0f, above};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) {
    const SinCos first = sin_cos(s.theta1);
    const SinCos second = sin_cos(s.theta2);
    obs.set(0, first.cos);
    obs.set(1, first.sin);
    obs.set(2, second.cos);
    obs.set(3, second.sin);
    obs.set(4, s.theta1_dot);
    obs.set(5, s.theta2_dot);
  }

 private:
  // In [-pi, pi], unchanged inside; two-term 2 pi.
  HD static float wrapped(float angle) {
    const float turns = round_to_integer(angle * 0.15915494f);
    return fused(turns, 1.7484555e-7f, fused(turns, -kTwoPi, angle));
  }

  // d(state)/dt. The paper's cos(x - pi/2) is sin x.
  HD static State derivative(const Params& p, const State& s, float torque) {
    const SinCos second = sin_cos(s.theta2);
    const float coupling = p.mass2 * p.length1 * p.com2;
    const float inertia2 = p.mass2 * (p.com2 * p.com2) + p.inertia;
    const float d1 = p.mass1 * (p.com1 * p.com1) + p.mass2 * (p.length1 * p.length1) + p.inertia + inertia2 +
                     2.0f * coupling * second.cos;
    const float d2 = inertia2 + coupling * second.cos;
    const float swing = coupling * second.sin;
    const float phi2 = p.mass2 * p.com2 * p.gravity * sin_cos(s.theta1 + s.theta2).sin;
    const float phi1 = -swing * (s.theta2_dot * s.theta2_dot) - 2.0f * swing * (s.theta2_dot * s.theta1_dot) +
                       (p.mass1 * p.com1 + p.mass2 * p.length1) * p.gravity * sin_cos(s.theta1).sin + phi2;
    const float book_term = (p.nips ? 0.0f : 1.0f) * swing * (s.theta1_dot * s.theta1_dot);
    const float inverse = 1.0f / d1;
    const float ratio = d2 * inverse;
    const float acc2 = (torque + ratio * phi1 - book_term - phi2) / (inertia2 - d2 * ratio);
    const float acc1 = -(d2 * acc2 + phi1) * inverse;
    return {s.theta1_dot, s.theta2_dot, acc1, acc2};
  }

  HD static State moved(const State& s, float time, const State& rate) {
    return {fused(time, rate.theta1, s.theta1), fused(time, rate.theta2, s.theta2),
            fused(time, rate.theta1_dot, s.theta1_dot), fused(time, rate.theta2_dot, s.theta2_dot)};
  }

  HD static State runge_kutta(const Params& p, const State& s, float torque) {
    const State k1 = derivative(p, s, torque);
    const State k2 = derivative(p, moved(s, 0.5f * p.dt, k1), torque);
    const State k3 = derivative(p, moved(s, 0.5f * p.dt, k2), torque);
    const State k4 = derivative(p, moved(s, p.dt, k3), torque);
    const State sum = moved(moved(moved(k1, 2.0f, k2), 2.0f, k3), 1.0f, k4);
    return moved(s, p.dt / 6.0f, sum);
  }
};

}  // namespace stampede
