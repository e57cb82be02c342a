# SPDX-License-Identifier: Apache-2.0
"""RLtools' SAC on its own C++ Pendulum, compiled for this machine: steps per second. usage: rltools_sac.py WIDTH BATCH

One environment step and one update each, learning rate 1e-3; compiling is not timed.
"""
import os
import pathlib
import sys
import time

from timing import RUNS, report


def main():
    width, batch = int(sys.argv[1]), int(sys.argv[2])
    os.environ.setdefault("MKL_NUM_THREADS", "1")
    from rltools import SAC

    steps = 10_000 if width <= 64 else 2_000
    folder = pathlib.Path(__file__).resolve().parent / "rltools_pendulum"
    stdout = os.dup(1)  # the package prints while it compiles
    os.dup2(2, 1)
    sac = SAC({"path": str(folder), "action_dim": 1, "observation_dim": 3}, enable_evaluation=False,
              interface_name=f"peer_{width}_{batch}", ACTOR_HIDDEN_DIM=width, CRITIC_HIDDEN_DIM=width,
              ACTOR_BATCH_SIZE=batch, CRITIC_BATCH_SIZE=batch, STEP_LIMIT=steps)
    figures = []
    for seed in range(RUNS):
        state = sac.State(seed)
        start = time.perf_counter()
        while not state.step():
            pass
        figures.append(steps / (time.perf_counter() - start))
    os.dup2(stdout, 1)
    report(figures, "steps/s", ("rltools",))


main()
