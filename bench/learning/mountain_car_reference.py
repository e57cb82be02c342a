#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linear SARSA with tile coding on MountainCar in float64, many seeds side by side; shares no code with stampede.

usage: bench/learning/mountain_car_reference.py [--step-size 0.1] [--seeds 256] [--limit 200] [--truncation-ends]
Needs numpy and some minutes.

Eight tilings of 8 x 8 tiles displaced by (1, 3), step size divided by the tilings, gamma 1, no exploration, weights 0,
500 episodes of at most --limit steps (0: no limit), whose last target bootstraps unless --truncation-ends. Prints mean,
deviation and standard error over seeds of the steps per episode of the last 100: what bench/learning/tabular.py
compares with.
"""
import argparse

import numpy as np

TILINGS, TILES, GRID, EPISODES = 8, 8, 9, 500


def features(position, velocity):
    offset = (np.arange(TILINGS)[:, None] * np.array([1, 3])) % TILINGS / TILINGS
    row = np.floor(((position + 1.2) / 1.8 * TILES)[:, None] + offset[:, 0]).astype(int)
    column = np.floor(((velocity + 0.07) / 0.14 * TILES)[:, None] + offset[:, 1]).astype(int)
    cell = np.clip(row, 0, GRID - 1) * GRID + np.clip(column, 0, GRID - 1)
    return np.arange(TILINGS) * GRID * GRID + cell


def step(position, velocity, action):
    velocity = np.clip(velocity + (action - 1) * 0.001 - np.cos(3 * position) * 0.0025, -0.07, 0.07)
    position = np.clip(position + velocity, -1.2, 0.6)
    return position, np.where((position <= -1.2) & (velocity < 0), 0.0, velocity)


def simulate(step_size, seeds, limit, truncation_ends):
    rng, seed = np.random.default_rng(0), np.arange(seeds)
    weights = np.zeros((seeds, 3, TILINGS * GRID * GRID))
    values = lambda active: np.take_along_axis(weights, np.repeat(active[:, None, :], 3, 1), 2).sum(2)
    start = lambda: rng.uniform(-0.6, -0.4, seeds)
    position, velocity, elapsed, episode = start(), np.zeros(seeds), np.zeros(seeds, int), np.zeros(seeds, int)
    steps = np.full((seeds, EPISODES), np.nan)
    active = features(position, velocity)
    action = values(active).argmax(1)
    while (running := episode < EPISODES).any():
        position, velocity = step(position, velocity, action)
        elapsed += 1
        terminated, next_active = position >= 0.5, features(position, velocity)
        next_values = values(next_active)
        next_action = next_values.argmax(1)
        now = np.take_along_axis(weights[seed, action], active, 1).sum(1)
        done = terminated | (elapsed >= limit)
        error = -1 + np.where(done if truncation_ends else terminated, 0.0, next_values[seed, next_action]) - now
        np.add.at(weights, (seed[:, None], action[:, None], active), (step_size / TILINGS * error * running)[:, None])
        ended = np.flatnonzero(done & running)
        steps[ended, episode[ended]] = elapsed[ended]
        episode[ended] += 1
        position, velocity = np.where(done, start(), position), np.where(done, 0.0, velocity)
        elapsed[done] = 0
        active = features(position, velocity)
        action = np.where(done, values(active).argmax(1), next_action)
    return steps[:, -100:].mean(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step-size", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=256)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--truncation-ends", action="store_true")
    arguments = parser.parse_args()
    mean = simulate(arguments.step_size, arguments.seeds, arguments.limit or np.inf, arguments.truncation_ends)
    print(f"steps per episode {mean.mean():.2f}, deviation {mean.std():.2f}, standard error {mean.std() / len(mean) ** 0.5:.2f}")


if __name__ == "__main__":
    main()
