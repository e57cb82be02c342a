# SPDX-License-Identifier: Apache-2.0
"""The published equations of motion in a chosen precision, optionally with rounding noise.

They only serve to say how far an honest re-implementation may drift; the golden numbers come from Gymnasium itself.
Every function maps (arithmetic, state, action, kwargs) to (next state, reward, terminated, observation).
"""
import numpy as np


class Arithmetic:
    """Plain arithmetic in `dtype`; with noise > 0 (in half-ulps) sin, cos and new states are perturbed.

    The noise stands for another libm, fused multiply-add, re-association or fast GPU intrinsics: sin and cos are off
    by up to 4 * noise half-ulps of 1, each new state component by up to noise half-ulps of itself.
    """

    def __init__(self, dtype, noise=0.0, seed=0):
        self.f, self.noise = dtype, noise
        self.half_ulp = 2.0**-24 if dtype is np.float32 else 2.0**-53
        self.rng = np.random.default_rng(seed)

    def _trig(self, value):
        if self.noise:
            value = float(value) + self.half_ulp * self.noise * 4.0 * self.rng.uniform(-1, 1)
        return self.f(value)

    def sin(self, x):
        return self._trig(np.sin(self.f(x)))

    def cos(self, x):
        return self._trig(np.cos(self.f(x)))

    def rounded(self, state):
        if self.noise:
            state = [float(v) * (1 + self.half_ulp * self.noise * self.rng.uniform(-1, 1)) for v in state]
        return [self.f(v) for v in state]

    def clip(self, x, low, high):
        return self.f(min(max(x, self.f(low)), self.f(high)))


def cartpole(ar, state, action, kwargs):
    f = ar.f
    x, x_dot, theta, theta_dot = state
    force = f(10.0) if action == 1 else f(-10.0)
    c, s = ar.cos(theta), ar.sin(theta)
    temp = (force + f(0.05) * (theta_dot * theta_dot) * s) / f(1.1)
    theta_acc = (f(9.8) * s - c * temp) / (f(0.5) * (f(4.0 / 3.0) - f(0.1) * (c * c) / f(1.1)))
    x_acc = temp - f(0.05) * theta_acc * c / f(1.1)
    tau = f(0.02)
    new = ar.rounded([x + tau * x_dot, x_dot + tau * x_acc, theta + tau * theta_dot, theta_dot + tau * theta_acc])
    done = bool(abs(new[0]) > f(2.4) or abs(new[2]) > f(12 * 2 * np.pi / 360))
    reward = (-1.0 if done else 0.0) if kwargs.get("sutton_barto_reward") else 1.0
    return new, reward, done, list(new)


def pendulum(ar, state, action, kwargs):
    f = ar.f
    gravity = f(kwargs.get("g", 10.0))
    theta, theta_dot = state
    torque = ar.clip(f(action), -2, 2)
    pi = f(np.pi)
    wrapped = np.mod(theta + pi, f(2) * pi) - pi
    cost = wrapped * wrapped + f(0.1) * (theta_dot * theta_dot) + f(0.001) * (torque * torque)
    speed = ar.clip(theta_dot + (f(3) * gravity / f(2) * ar.sin(theta) + f(3) * torque) * f(0.05), -8, 8)
    new = ar.rounded([theta + speed * f(0.05), speed])
    return new, float(-cost), False, [ar.cos(new[0]), ar.sin(new[0]), new[1]]


def _mountain(ar, state, push):
    f = ar.f
    position, velocity = state
    velocity = ar.clip(velocity + (push + ar.cos(f(3) * position) * f(-0.0025)), -0.07, 0.07)
    position = ar.clip(position + velocity, -1.2, 0.6)
    if position == f(-1.2) and velocity < 0:
        velocity = f(0)
    return ar.rounded([position, velocity])


def mountain_car(ar, state, action, kwargs):
    f = ar.f
    new = _mountain(ar, state, f(action - 1) * f(0.001))
    done = bool(new[0] >= f(0.5) and new[1] >= f(kwargs.get("goal_velocity", 0)))
    return new, -1.0, done, list(new)


def mountain_car_continuous(ar, state, action, kwargs):
    f = ar.f
    new = _mountain(ar, state, ar.clip(f(action), -1, 1) * f(0.0015))
    done = bool(new[0] >= f(0.45) and new[1] >= f(kwargs.get("goal_velocity", 0)))
    reward = (f(100.0) if done else f(0.0)) - f(action) * f(action) * f(0.1)
    return new, float(reward), done, list(new)


def _acrobot_derivative(ar, y, torque, nips):
    f = ar.f
    half, one = f(0.5), f(1)
    theta1, theta2, w1, w2 = y
    c2, s2 = ar.cos(theta2), ar.sin(theta2)
    d1 = f(0.25) + (one + f(0.25) + c2) + f(2)
    d2 = f(0.25) + half * c2 + one
    phi2 = half * f(9.8) * ar.cos(theta1 + theta2 - f(np.pi / 2))
    phi1 = -half * w2 * w2 * s2 - w2 * w1 * s2 + f(1.5) * f(9.8) * ar.cos(theta1 - f(np.pi / 2)) + phi2
    book_term = f(0) if nips else half * w1 * w1 * s2
    acc2 = (torque + d2 / d1 * phi1 - book_term - phi2) / (f(0.25) + one - d2 * d2 / d1)
    acc1 = -(d2 * acc2 + phi1) / d1
    return np.array([w1, w2, acc1, acc2], dtype=f)


def acrobot(ar, state, action, kwargs):
    f = ar.f
    nips = kwargs.get("book_or_nips") == "nips"
    y, dt, two, pi = np.array(state, dtype=f), f(kwargs.get("dt", 0.2)), f(2), f(np.pi)
    torque = f(action - 1)
    k1 = _acrobot_derivative(ar, y, torque, nips)
    k2 = _acrobot_derivative(ar, y + dt / two * k1, torque, nips)
    k3 = _acrobot_derivative(ar, y + dt / two * k2, torque, nips)
    k4 = _acrobot_derivative(ar, y + dt * k3, torque, nips)
    y = y + dt / f(6) * (k1 + two * k2 + two * k3 + k4)
    angles = []
    for x in y[:2]:
        while x > pi:
            x = x - two * pi
        while x < -pi:
            x = x + two * pi
        angles.append(x)
    speeds = [ar.clip(y[2], -4 * np.pi, 4 * np.pi), ar.clip(y[3], -9 * np.pi, 9 * np.pi)]
    new = ar.rounded(angles + speeds)
    done = bool(-ar.cos(new[0]) - ar.cos(new[1] + new[0]) > f(1))
    obs = [ar.cos(new[0]), ar.sin(new[0]), ar.cos(new[1]), ar.sin(new[1]), new[2], new[3]]
    return new, (0.0 if done else -1.0), done, obs


CARTPOLE_NAMES = ["x", "x_dot", "theta", "theta_dot"]
CAR_NAMES = ["position", "velocity"]
SPEC = {
    "CartPole": dict(step=cartpole, state=CARTPOLE_NAMES, obs=CARTPOLE_NAMES),
    "Pendulum": dict(step=pendulum, state=["theta", "theta_dot"], obs=["cos_theta", "sin_theta", "theta_dot"],
                     action="float64"),
    "MountainCar": dict(step=mountain_car, state=CAR_NAMES, obs=CAR_NAMES),
    "MountainCarContinuous": dict(step=mountain_car_continuous, state=CAR_NAMES, obs=CAR_NAMES, action="float32"),
    "Acrobot": dict(step=acrobot, state=["theta1", "theta2", "theta1_dot", "theta2_dot"],
                    obs=["cos_theta1", "sin_theta1", "cos_theta2", "sin_theta2", "theta1_dot", "theta2_dot"]),
}


def spec_of(env_id):
    return SPEC[env_id.split("-")[0]]
