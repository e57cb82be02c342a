# SPDX-License-Identifier: Apache-2.0
"""Microseconds to sample and gather a prioritised batch and to write its new priorities back. usage: replay.py LIBRARY BATCH

A full memory of 2^20 CartPole transitions, alpha 0.6, beta 0.4, one thread.
"""
import sys

import numpy as np

from timing import microseconds, report

CAPACITY = 1 << 20
RNG = np.random.default_rng(0)


def random_priorities(count):
    return RNG.random(count).astype(np.float32) + 1e-3


def transitions(count):
    return {
        "obs": RNG.random((count, 4), dtype=np.float32),
        "next_obs": RNG.random((count, 4), dtype=np.float32),
        "act": RNG.integers(0, 2, (count, 1)),
        "rew": np.ones((count, 1), np.float32),
        "done": np.zeros((count, 1), np.float32),
    }


def tianshou_cycle(batch):
    from tianshou.data import Batch, PrioritizedReplayBuffer

    buffer = PrioritizedReplayBuffer(CAPACITY, alpha=0.6, beta=0.4)
    row = transitions(1)
    for _ in range(8):
        buffer.add(Batch(obs=row["obs"][0], obs_next=row["next_obs"][0], act=int(row["act"][0, 0]), rew=1.0,
                         terminated=False, truncated=False, info={}))
    # Filling it row by row takes minutes: the arrays exist, so only its size and priorities are set.
    buffer._size = CAPACITY
    buffer.update_weight(np.arange(CAPACITY), random_priorities(CAPACITY))
    fresh = random_priorities(batch)

    def cycle():
        _, indices = buffer.sample(batch)
        buffer.update_weight(indices, fresh)

    return cycle, ("tianshou", "numba", "numpy")


def torchrl_cycle(batch):
    import torch
    from tensordict import TensorDict
    from torchrl.data import LazyTensorStorage, ReplayBuffer
    from torchrl.data.replay_buffers.samplers import PrioritizedSampler

    torch.set_num_threads(1)
    buffer = ReplayBuffer(storage=LazyTensorStorage(CAPACITY), batch_size=batch,
                          sampler=PrioritizedSampler(CAPACITY, alpha=0.6, beta=0.4))
    buffer.extend(TensorDict({k: torch.as_tensor(v) for k, v in transitions(CAPACITY).items()}, [CAPACITY]))
    buffer.update_priority(torch.arange(CAPACITY), torch.as_tensor(random_priorities(CAPACITY)))
    fresh = torch.as_tensor(random_priorities(batch))

    def cycle():
        _, info = buffer.sample(return_info=True)
        buffer.update_priority(info["index"], fresh)

    return cycle, ("torchrl", "tensordict", "torch")


def cpprb_cycle(batch):
    from cpprb import PrioritizedReplayBuffer

    buffer = PrioritizedReplayBuffer(CAPACITY, {
        "obs": {"shape": 4}, "next_obs": {"shape": 4}, "act": {"dtype": np.int64}, "rew": {}, "done": {}}, alpha=0.6)
    buffer.add(**transitions(CAPACITY))
    buffer.update_priorities(np.arange(CAPACITY), random_priorities(CAPACITY))
    fresh = random_priorities(batch)

    def cycle():
        sample = buffer.sample(batch, 0.4)
        buffer.update_priorities(sample["indexes"], fresh)

    return cycle, ("cpprb", "numpy")


def main():
    library, batch = sys.argv[1], int(sys.argv[2])
    cycle, packages = {"tianshou": tianshou_cycle, "torchrl": torchrl_cycle, "cpprb": cpprb_cycle}[library](batch)
    report(microseconds(cycle, 1000 if batch < 1000 else 150), "us", packages)


main()
