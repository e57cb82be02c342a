# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files listed below into the folder given (default: the folder above this one)."""
import os
import sys

import numpy as np

from record import append_lists, classic, table, tabular

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
f32 = lambda *values: [float(np.float32(v)) for v in values]
PUMP = lambda s, k: 2 if s[1] >= 0 else 0
RNG = np.random.default_rng(5)
SUTTON_START = [0.01, -0.02, 0.03, -0.04]
ACROBOT_START = f32(0.05, -0.05, 0.02, 0.01)
PUMP_TEXT = "2 if velocity>=0 else 0"
SWING = lambda s, k: 2 if s[3] >= 0 else 0
SWING_TEXT = "2 if theta2_dot>=0 else 0"


def classic_control():
    classic(OUT, "cartpole_sutton_barto", "CartPole-v1", {"sutton_barto_reward": True}, SUTTON_START,
            [k % 2 for k in range(500)], 500, "reward 0 and -1 on the terminal step", "0,1,0,1,...")
    classic(OUT, "cartpole_v0_limit", "CartPole-v0", {}, SUTTON_START, lambda s, k: int(s[2] + s[3] > 0), 30,
            "time limit 200 of v0, entered at step 190", "1 if theta+theta_dot>0 else 0", elapsed=190)
    classic(OUT, "cartpole_both_flags", "CartPole-v1", {}, SUTTON_START, [1] * 10, 10,
            "falls on the very step of the time limit: terminated and truncated", "always 1", elapsed=490)
    classic(OUT, "pendulum_g981", "Pendulum-v1", {"g": 9.81}, [1.0, 0.5],
            [2 * np.sin(0.3 * k) for k in range(1, 41)], 40, "another gravity", "u_k=float32(2 sin(0.3 k)), k=1..40")
    classic(OUT, "mountaincar_goal_velocity", "MountainCar-v0", {"goal_velocity": 0.03}, [-0.5, 0.0], PUMP, 200,
            "the goal needs a speed", PUMP_TEXT)
    classic(OUT, "mountaincar_goal_too_slow", "MountainCar-v0", {"goal_velocity": 0.06}, [-0.5, 0.0], PUMP, 200,
            "passes the goal too slowly at first", PUMP_TEXT)
    bang = lambda s, k: 1.0 if s[1] >= 0 else -1.0
    classic(OUT, "mcc_bangbang", "MountainCarContinuous-v0", {}, [-0.5, 0.0], bang, 999,
            "reaches the goal; the terminal reward is 100 minus the cost", "1 if velocity>=0 else -1")
    classic(OUT, "mcc_overrange", "MountainCarContinuous-v0", {}, [-1.1, -0.0625], [3.0 * u for u in RNG.uniform(-1, 1, 60)],
            60, "force outside +-1: the force is clipped, the unclipped action enters the reward; left wall",
            "60 random values in +-3")
    classic(OUT, "mcc_goal_velocity", "MountainCarContinuous-v0", {"goal_velocity": 0.05}, [0.1, 0.052],
            [1.0] * 30, 30, "the goal needs a speed", "always 1")
    classic(OUT, "acrobot_swing", "Acrobot-v1", {}, ACROBOT_START, SWING, 500, "book equations, swings up", SWING_TEXT)
    classic(OUT, "acrobot_random", "Acrobot-v1", {}, ACROBOT_START, [int(a) for a in RNG.integers(0, 3, 120)], 120,
            "book equations, random torques", "120 random actions")
    classic(OUT, "acrobot_fast", "Acrobot-v1", {}, f32(-1.0, 0.5, 12.0, -28.0), [2, 1, 0] * 8, 24,
            "speed limits and angle wrapping", "2,1,0 repeated")
    classic(OUT, "acrobot_nips", "Acrobot-v1", {"book_or_nips": "nips"}, ACROBOT_START, SWING, 100,
            "equations of the NeurIPS paper", SWING_TEXT)
    classic(OUT, "acrobot_dt", "Acrobot-v1", {"dt": 0.05}, ACROBOT_START, SWING, 80, "smaller time step", SWING_TEXT)


def toy_text():
    fast = {"map_name": "8x8", "is_slippery": False}
    tabular(OUT, "frozenlake8_goal", "FrozenLake-v1", fast, [2] * 7 + [1] * 7, "right, then down to the goal")
    tabular(OUT, "frozenlake8x8_limit", "FrozenLake8x8-v1", {"is_slippery": False}, [0, 3] * 100,
            "stays in the corner for 200 steps, truncated")
    custom = {"desc": ["FSFF", "FHSH", "FFFG"], "is_slippery": False, "reward_schedule": [5, -2, -0.5]}
    tabular(OUT, "frozenlake_custom_goal", "FrozenLake-v1", custom, [0, 3, 2, 2, 1, 1, 2],
            "custom 3x4 map with two starts and a goal, hole and frozen reward", 1)
    tabular(OUT, "frozenlake_custom_hole", "FrozenLake-v1", custom, [2, 2, 1], "walks into the hole: -2", 1)
    table(OUT, "frozenlake8_slippery_P", "FrozenLake-v1", {"map_name": "8x8"}, "8x8, slippery")
    table(OUT, "frozenlake8x8_P", "FrozenLake8x8-v1", {"is_slippery": False}, "8x8 by its own id, not slippery")
    table(OUT, "frozenlake4_success_rate_P", "FrozenLake-v1", {"success_rate": 0.75}, "4x4, success rate 0.75")
    table(OUT, "frozenlake_custom_P", "FrozenLake-v1",
          {"desc": ["FSFF", "FHSH", "FFFG"], "success_rate": 0.5, "reward_schedule": [5, -2, -0.5]},
          "custom 3x4 map, two starts, all three rewards")
    table(OUT, "cliff_slippery_P", "CliffWalking-v1", {"is_slippery": True}, "rows with s in 37..47 are never used")
    table(OUT, "taxi_rainy_P", "Taxi-v4", {"is_rainy": True}, "rainy, probability 0.8")
    table(OUT, "taxi_rainy_half_P", "Taxi-v4", {"is_rainy": True, "rainy_probability": 0.5}, "rainy, probability 0.5")
    encode = lambda row, col, passenger, destination: ((row * 5 + col) * 5 + passenger) * 4 + destination
    tabular(OUT, "taxi_walls", "Taxi-v4", {}, [2, 2, 2, 0, 0, 3, 3, 3, 0, 0, 3, 2, 2, 2, 1, 1, 2, 2, 1, 1, 1, 2, 2, 3, 3, 3],
            "every interior wall from both sides", encode(0, 0, 1, 2))


classic_control()
toy_text()
append_lists(OUT)
