# SPDX-License-Identifier: Apache-2.0
"""RLtools' learners on its own C++ Pendulum, compiled for this machine: steps per second.

usage: rltools_loop.py sac WIDTH BATCH      one environment step and one update each, learning rate 1e-3
       rltools_loop.py ppo [without_blas]   300k steps of 4 environments, as RLtools' own example for Pendulum sets them

The package multiplies matrices with MKL; `without_blas` takes RLtools' own loops, which is what its C++ programs are
where CMake finds no BLAS.

Compiling is not timed, and nothing is evaluated.
"""
import os
import pathlib
import sys
import time

from timing import RUNS, report

ENVIRONMENT = {"path": str(pathlib.Path(__file__).resolve().parent / "rltools_pendulum"), "action_dim": 1, "observation_dim": 3}


def make_sac(width, batch):
    from rltools import SAC

    steps = 10_000 if width <= 64 else 2_000
    return steps, SAC(ENVIRONMENT, enable_evaluation=False, interface_name=f"peer_{width}_{batch}", ACTOR_HIDDEN_DIM=width,
                      CRITIC_HIDDEN_DIM=width, ACTOR_BATCH_SIZE=batch, CRITIC_BATCH_SIZE=batch, STEP_LIMIT=steps)


def make_ppo(blas):
    from rltools import PPO

    environments, rows, iterations = 4, 1024, 74
    steps = environments * rows * iterations
    name = "peer_ppo" if blas else "peer_ppo_without_blas"
    return steps, PPO(ENVIRONMENT, enable_evaluation=False, enable_blas=blas, interface_name=name, GAMMA=0.9,
                      INITIAL_ACTION_STD=2.0, ACTION_ENTROPY_COEFFICIENT=0.0, NORMALIZE_OBSERVATIONS=True, N_EPOCHS=2,
                      N_ENVIRONMENTS=environments, ON_POLICY_RUNNER_STEPS_PER_ENV=rows, BATCH_SIZE=256,
                      EPISODE_STEP_LIMIT=200, STEP_LIMIT=iterations)


def main():
    os.environ.setdefault("MKL_NUM_THREADS", "1")
    stdout = os.dup(1)  # the package prints while it compiles
    os.dup2(2, 1)
    if sys.argv[1] == "ppo":
        steps, algorithm = make_ppo(blas="without_blas" not in sys.argv)
    else:
        steps, algorithm = make_sac(int(sys.argv[2]), int(sys.argv[3]))
    figures = []
    for seed in range(RUNS):
        state = algorithm.State(seed)
        start = time.perf_counter()
        while not state.step():
            pass
        figures.append(steps / (time.perf_counter() - start))
    os.dup2(stdout, 1)
    report(figures, "steps/s", ("rltools",))


main()
