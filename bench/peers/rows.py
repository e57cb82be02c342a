# SPDX-License-Identifier: Apache-2.0
"""What is compared: each group is one task, measured for stampede and for every peer in turn."""

# How a figure is obtained. Commands of peers run in their virtual environment, inside this folder; all of them print
# what timing.report() prints.
BENCH, PROGRAM, SOLVE, PEER, PEER_SOLVE = "bench", "program", "solve", "peer", "peer_solve"


def peer(name, stack, *words):
    return {"name": name, "how": PEER, "stack": stack, "words": words}


def bench(name, benchmark):
    return {"name": name, "how": BENCH, "benchmark": benchmark}


def env_group(size, cores, *peers):
    threads = f"/threads:{cores}" if cores > 1 else ""
    return {"name": f"env/CartPole-v1/{size}" + ("" if cores == 1 else f"/{cores} cores"), "unit": "steps/s",
            "cores": cores, "stampede": bench("stampede", f"env/CartPole-v1/{size}{threads}"), "peers": peers}


def replay_group(batch):
    words = ("replay.py",)
    return {"name": f"replay/per/{batch}", "unit": "us", "cores": 1, "stampede": bench("stampede", f"replay/per/{batch}"),
            "peers": [peer(library, "torch", *words, library, batch) for library in ("tianshou", "torchrl", "cpprb")]}


# The zoo's PPO settings for CartPole-v1, as baselines.py has them.
ZOO_PPO = ["num_envs=8", "rollout_steps=32", "epochs=20", "minibatches=1", "gamma=0.98", "gae_lambda=0.8",
           "learning_rate=0.001", "learning_rate_final=0", "clip=0.2", "clip_final=0", "entropy_coef=0",
           "value_coef=0.5", "max_grad_norm=0.5", "hidden=64,64", "activation=tanh", "shared_torso=false",
           "threads=1"]

# RLtools' example of PPO on Pendulum.
RLTOOLS_PPO = ["num_envs=4", "rollout_steps=1024", "minibatches=16", "epochs=2", "gamma=0.9", "hidden=64,64",
               "activation=relu", "normalize_observations=true", "learning_rate=0.001", "log_sigma=0.7"]


def rltools_ppo_group(cores):
    words = ["ppo", "Pendulum-v1", *RLTOOLS_PPO, "total_steps=303104", "eval_every=303104", f"threads={cores}"]
    return {"name": "train/ppo/Pendulum-v1/rltools" + ("" if cores == 1 else f"/{cores} cores"), "unit": "steps/s",
            "cores": cores, "stampede": {"name": "stampede", "how": PROGRAM, "words": words},
            "peers": [peer("RLtools (MKL)", "torch", "rltools_loop.py", "ppo"),
                      peer("RLtools (no BLAS)", "torch", "rltools_loop.py", "ppo", "without_blas")]}


GROUPS = [
    env_group(1024, 1, peer("gymnasium CartPoleVectorEnv", "torch", "env_steps.py", "gymnasium", "CartPole-v1", 1024, 1),
              peer("envpool", "torch", "env_steps.py", "envpool", "CartPole-v1", 1024, 1),
              peer("gymnax", "jax", "ppo_jax.py", "env", 1024)),
    env_group(65536, 1, peer("gymnasium CartPoleVectorEnv", "torch", "env_steps.py", "gymnasium", "CartPole-v1", 65536, 1),
              peer("gymnax", "jax", "ppo_jax.py", "env", 65536)),
    env_group(65536, 2, peer("gymnax", "jax", "ppo_jax.py", "env", 65536)),
    {"name": "env/Pendulum-v1/4096", "unit": "steps/s", "cores": 1,
     "stampede": bench("stampede", "env/Pendulum-v1/4096"),
     "peers": [peer("gymnasium SyncVectorEnv 64", "torch", "env_steps.py", "gymnasium_sync", "Pendulum-v1", 64, 1),
               peer("envpool", "torch", "env_steps.py", "envpool", "Pendulum-v1", 4096, 1)]},
    {"name": "train/ppo/CartPole-v1/zoo", "unit": "steps/s", "cores": 1,
     "stampede": {"name": "stampede", "how": PROGRAM,
                  "words": ["ppo", "CartPole-v1", *ZOO_PPO, "total_steps=100000", "schedule_steps=100000"]},
     "peers": [peer("Stable-Baselines3", "torch", "baselines.py", "sb3", "ppo")]},
    {"name": "train/ppo/CartPole-v1/4", "unit": "steps/s", "cores": 1,
     "stampede": bench("stampede", "train/ppo/CartPole-v1/4"),
     "peers": [peer("JAX script in PureJaxRL's style", "jax", "ppo_jax.py", "rate", 4)]},
    {"name": "train/ppo/CartPole-v1/64", "unit": "steps/s", "cores": 2,
     "stampede": bench("stampede", "train/ppo/CartPole-v1/64"),
     "peers": [peer("JAX script in PureJaxRL's style", "jax", "ppo_jax.py", "rate", 64)]},
    rltools_ppo_group(1),
    rltools_ppo_group(2),
    {"name": "train/dqn/updates/256x256/64", "unit": "updates/s", "cores": 1,
     "stampede": bench("stampede, environment steps included", "train/dqn/updates/256x256/64"),
     "peers": [peer("Stable-Baselines3", "torch", "baselines.py", "sb3", "dqn"),
               peer("SBX", "jax", "baselines.py", "sbx", "dqn")]},
    replay_group(256),
    replay_group(4096),
    {"name": "train/sac/64x64/100", "unit": "steps/s", "cores": 1,
     "stampede": bench("stampede", "train/sac/updates/64x64/100"),
     "peers": [peer("RLtools", "torch", "rltools_loop.py", "sac", 64, 100)]},
    {"name": "train/sac/256x256/256", "unit": "steps/s", "cores": 2,
     "stampede": bench("stampede", "train/sac/updates/256x256/256/threads:2"),
     "peers": [peer("Stable-Baselines3", "torch", "baselines.py", "sb3", "sac", 2),
               peer("SBX", "jax", "baselines.py", "sbx", "sac"),
               peer("RLtools", "torch", "rltools_loop.py", "sac", 256, 256)]},
    {"name": "solve/CartPole-v1", "unit": "s", "cores": 2,
     "stampede": {"name": "stampede ppo", "how": SOLVE, "words": ["ppo", "CartPole-v1"]},
     "peers": [{"name": "Stable-Baselines3 PPO", "how": PEER_SOLVE, "stack": "torch",
                "words": ("baselines.py", "sb3", "solve")},
               {"name": "JAX script in PureJaxRL's style", "how": PEER_SOLVE, "stack": "jax",
                "words": ("ppo_jax.py", "solve")}]},
]
