# SPDX-License-Identifier: Apache-2.0
"""Stable-Baselines3 (PyTorch) and SBX (JAX) in the settings of RL Baselines3 Zoo.

usage: baselines.py sb3|sbx ppo|dqn|sac [THREADS]     figures of five runs
       baselines.py sb3|sbx solve SEED                one PPO run until CartPole-v1 is solved
"""
import json
import sys
import time

import gymnasium
import numpy as np

from timing import rates, report

LIBRARY = sys.argv[1]


def packages():
    return ("stable_baselines3", "torch", "gymnasium") if LIBRARY == "sb3" else ("sbx-rl", "jax", "gymnasium")


def algorithm(name):
    if LIBRARY == "sb3":
        import stable_baselines3 as library
    else:
        import sbx as library
    return getattr(library, name)


def set_threads(count):
    if LIBRARY == "sb3":
        import torch

        torch.set_num_threads(count)


def make_ppo(total_steps, seed):
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    return algorithm("PPO")("MlpPolicy", envs, n_steps=32, batch_size=256, n_epochs=20, gamma=0.98, gae_lambda=0.8,
                            learning_rate=lambda left: 1e-3 * left, clip_range=lambda left: 0.2 * left, ent_coef=0.0,
                            seed=seed)


def ppo():
    """Environment steps per second of a whole training loop."""
    model = make_ppo(1e9, 0)
    return rates(lambda: model.learn(8192, reset_num_timesteps=False), 8192), "steps/s"


def dqn():
    """Gradient updates per second: batch 64, 256-256, with sampling."""
    model = algorithm("DQN")("MlpPolicy", "CartPole-v1", learning_rate=2.3e-3, batch_size=64, buffer_size=100_000,
                             learning_starts=1000, gamma=0.99, target_update_interval=10, train_freq=256,
                             gradient_steps=128, exploration_fraction=0.16, exploration_final_eps=0.04,
                             policy_kwargs={"net_arch": [256, 256]}, seed=0)
    model.learn(1600)
    if LIBRARY == "sb3":
        return rates(lambda: [model.train(gradient_steps=128, batch_size=64) for _ in range(4)], 4 * 128), "updates/s"
    return rates(lambda: [model.train(gradient_steps=128, batch_size=64) for _ in range(4)], 4 * 128), "updates/s"


def sac():
    """Steps per second: one environment step and one update each, batch 256, 256-256."""
    model = algorithm("SAC")("MlpPolicy", "Pendulum-v1", learning_rate=1e-3, seed=0)
    model.learn(400)
    count = 250 if LIBRARY == "sb3" else 500
    return rates(lambda: model.learn(count, reset_num_timesteps=False), count), "steps/s"


def greedy_return(model, seed):
    """Mean return of 100 greedy episodes, side by side."""
    envs = gymnasium.make_vec("CartPole-v1", num_envs=100, vectorization_mode="vector_entry_point")
    observation, _ = envs.reset(seed=seed)
    returns, alive = np.zeros(100), np.ones(100, bool)
    while alive.any():
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = envs.step(np.asarray(action))
        returns += reward * alive
        alive &= ~(terminated | truncated)
    return returns.mean()


def solve(seed):
    """Stops at the second of two consecutive evaluations of at least 475; evaluations are timed apart."""
    total, every = 100_000, 2048
    model = make_ppo(total, seed)
    evaluation, passed = 0.0, 0

    from stable_baselines3.common.callbacks import BaseCallback

    class Stop(BaseCallback):
        def _on_step(self):
            nonlocal evaluation, passed
            if self.num_timesteps % every:
                return True
            start = time.perf_counter()
            passed = passed + 1 if greedy_return(self.model, 10_000 + self.num_timesteps) >= 475 else 0
            evaluation += time.perf_counter() - start
            return passed < 2

    model.learn(total, callback=Stop())
    print(json.dumps({"solved": passed >= 2, "env_steps": model.num_timesteps, "evaluation_seconds": evaluation}))


def main():
    if sys.argv[2] == "solve":
        set_threads(1)
        solve(int(sys.argv[3]))
        return
    set_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    runs, unit = {"ppo": ppo, "dqn": dqn, "sac": sac}[sys.argv[2]]()
    report(runs, unit, packages())


main()
