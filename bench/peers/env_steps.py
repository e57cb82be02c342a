# SPDX-License-Identifier: Apache-2.0
"""Environment steps per second with actions drawn beforehand. usage: env_steps.py LIBRARY ENV NUM_ENVS THREADS

Both libraries reset at the step after an episode's end, as stampede does; those steps count as steps here too.
"""
import sys

import numpy as np

from timing import rates, report


def gymnasium_vector(env_id, num_envs, mode):
    import gymnasium

    envs = gymnasium.make_vec(env_id, num_envs=num_envs, vectorization_mode=mode)
    envs.reset(seed=0)
    return envs, ("gymnasium", "numpy")


def envpool_sync(env_id, num_envs, threads):
    import envpool

    envs = envpool.make_gymnasium(env_id, num_envs=num_envs, num_threads=threads, seed=0)
    envs.reset()
    return envs, ("envpool", "numpy")


def main():
    library, env_id, num_envs, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    envs, packages = envpool_sync(env_id, num_envs, threads) if library == "envpool" else gymnasium_vector(
        env_id, num_envs, {"gymnasium": "vector_entry_point", "gymnasium_sync": "sync"}[library])
    rng = np.random.default_rng(0)
    if env_id.startswith("Pendulum"):
        actions = [rng.uniform(-2, 2, (num_envs, 1)).astype(np.float32) for _ in range(64)]
    else:
        actions = [rng.integers(0, 2, num_envs, dtype=np.int32 if library == "envpool" else np.int64) for _ in range(64)]

    def run(steps):
        for t in range(steps):
            envs.step(actions[t % 64])

    speed = rates(lambda: run(20), 20 * num_envs, 1)[0]
    steps = max(20, int(0.7 * speed / num_envs))
    report(rates(lambda: run(steps), steps * num_envs), "steps/s", packages)


main()
