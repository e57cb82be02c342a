#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tabular control on Taxi in float64, many seeds side by side; of stampede it uses only the table of transitions.

usage: bench/learning/taxi_reference.py [--program PROGRAM] [--seeds 1000]      needs numpy; some minutes

Step size 0.1, gamma 0.99, epsilon 0.1, values 0, ties broken at random, 5000 episodes of at most 200 steps with
bootstrapped truncation. Prints mean, deviation and standard error over seeds of the return per episode of the last 500:
what bench/learning/tabular.py compares with. Before that, by dynamic programming, the largest expected return of any
policy that takes a random action with probability epsilon: no learner's mean can lie above it.
"""
import argparse
import csv
import io
import subprocess

import numpy as np

EPISODES, WINDOW, LIMIT, STEP_SIZE, GAMMA, EPSILON, ACTIONS = 5000, 500, 200, 0.1, 0.99, 0.1, 6


def transitions(program):
    text = subprocess.run([program, "table", "Taxi-v3"], capture_output=True, text=True, check=True).stdout
    rows = [[float(v) for v in row] for row in list(csv.reader(io.StringIO(text)))[1:]]
    following, reward, terminated = (np.zeros((500, ACTIONS), kind) for kind in (int, float, bool))
    for state, action, _, next_state, r, end in rows:
        where = int(state), int(action)
        following[where], reward[where], terminated[where] = int(next_state), r, bool(end)
    return following, reward, terminated


def is_start(state):
    passenger, destination = state // 4 % 5, state % 4
    return passenger < 4 and passenger != destination


STARTS = np.array([state for state in range(500) if is_start(state)])


def largest_return(table):
    """Over all epsilon-greedy policies, those that know the time left included."""
    following, reward, terminated = table
    best = np.zeros(500)
    for _ in range(LIMIT):
        values = reward + np.where(terminated, 0.0, best[following])
        best = (1 - EPSILON) * values.max(1) + EPSILON * values.mean(1)
    return best[STARTS].mean()


def choose(rng, values):
    """Epsilon-greedy, uniform among the best."""
    noise = rng.random(values.shape)
    greedy = np.where(values == values.max(1, keepdims=True), noise, -1.0).argmax(1)
    random = rng.random(len(values)) < EPSILON
    return np.where(random, rng.integers(ACTIONS, size=len(values)), greedy)


def simulate(table, method, seeds):
    following, reward, terminated = table
    rng, seed = np.random.default_rng(0), np.arange(seeds)
    values = np.zeros((seeds, 500, ACTIONS))
    state, elapsed, episode = rng.choice(STARTS, seeds), np.zeros(seeds, int), np.zeros(seeds, int)
    running, total = np.zeros(seeds), np.zeros(seeds)
    action = choose(rng, values[seed, state])
    while (episode < EPISODES).any():
        next_state, r, end = following[state, action], reward[state, action], terminated[state, action]
        ahead = values[seed, next_state]
        next_action = choose(rng, ahead)
        if method == "q_learning":
            future = ahead.max(1)
        elif method == "sarsa":
            future = ahead[seed, next_action]
        else:
            future = (1 - EPSILON) * ahead.max(1) + EPSILON * ahead.mean(1)
        learns = episode < EPISODES
        error = r + GAMMA * np.where(end, 0.0, future) - values[seed, state, action]
        values[seed, state, action] += np.where(learns, STEP_SIZE * error, 0.0)
        if method != "sarsa":  # after learning, as in the books
            next_action = choose(rng, values[seed, next_state])
        running += r
        elapsed += 1
        over = end | (elapsed >= LIMIT)
        total += np.where(over & learns & (episode >= EPISODES - WINDOW), running, 0.0)
        episode += over
        restart = rng.choice(STARTS, seeds)
        state = np.where(over, restart, next_state)
        action = next_action
        if over.any():
            action = np.where(over, choose(rng, values[seed, state]), next_action)
        running[over], elapsed[over] = 0.0, 0
    return total / WINDOW


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/native/stampede")
    parser.add_argument("--seeds", type=int, default=1000)
    arguments = parser.parse_args()
    table = transitions(arguments.program)
    print(f"no epsilon-greedy policy expects more than {largest_return(table):.4f}")
    for method in ("q_learning", "sarsa", "expected_sarsa"):
        online = simulate(table, method, arguments.seeds)
        deviation = online.std(ddof=1)
        print(f"{method:15s} {online.mean():.4f}, deviation {deviation:.3f}, standard error "
              f"{deviation / arguments.seeds ** 0.5:.4f}", flush=True)


if __name__ == "__main__":
    main()
