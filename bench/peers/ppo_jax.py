# SPDX-License-Identifier: Apache-2.0
"""PPO on gymnax's CartPole as one compiled JAX program, in the style of PureJaxRL, written for this comparison.

usage: ppo_jax.py rate NUM_ENVS      environment steps per second of five runs
       ppo_jax.py solve SEED         one run with 4 environments until CartPole-v1 is solved
       ppo_jax.py env NUM_ENVS       environment steps per second of gymnax alone

Separate actor and critic 64-64 tanh, orthogonal; 128 steps, 4 epochs of 4 minibatches, gamma 0.99, lambda 0.95, clip
0.2 (values too), entropy 0.01, value 0.5, gradient norm 0.5, Adam 2.5e-4 falling to 0; a time limit counts as terminal.
"""
import functools
import json
import sys
import time

import gymnax
import jax
import jax.numpy as jnp
import optax

from timing import rates, report

STEPS, EPOCHS, MINIBATCHES, GAMMA, LAMBDA, CLIP = 128, 4, 4, 0.99, 0.95, 0.2
ENV, ENV_PARAMS = gymnax.make("CartPole-v1")


def env_step(key, state, action):
    """Observation, state, reward and whether the episode ended, whichever gymnax it is; it resets in the same step."""
    out = ENV.step(key, state, action, ENV_PARAMS)
    done = out[3] if len(out) == 5 else jnp.logical_or(out[3], out[4])
    return out[0], out[1], out[2], done


def init_network(key, outputs, last_gain):
    sizes, gains = [4, 64, 64, outputs], [2**0.5, 2**0.5, last_gain]
    keys = jax.random.split(key, 3)
    return [{"w": jax.nn.initializers.orthogonal(g)(k, (i, o)), "b": jnp.zeros(o)}
            for k, g, i, o in zip(keys, gains, sizes[:-1], sizes[1:])]


def apply(layers, x):
    for layer in layers[:-1]:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return x @ layers[-1]["w"] + layers[-1]["b"]


def init_params(key):
    actor, critic = jax.random.split(key)
    return {"actor": init_network(actor, 2, 0.01), "critic": init_network(critic, 1, 1.0)}


def optimizer(updates):
    rate = optax.linear_schedule(2.5e-4, 0.0, updates * EPOCHS * MINIBATCHES)
    return optax.chain(optax.clip_by_global_norm(0.5), optax.adam(rate, eps=1e-5))


def loss_of(params, batch):
    logits = jax.nn.log_softmax(apply(params["actor"], batch["obs"]))
    value = apply(params["critic"], batch["obs"])[:, 0]
    log_prob = jnp.take_along_axis(logits, batch["action"][:, None], 1)[:, 0]
    advantage = (batch["advantage"] - batch["advantage"].mean()) / (batch["advantage"].std() + 1e-8)
    ratio = jnp.exp(log_prob - batch["log_prob"])
    policy = -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
    clipped = batch["value"] + jnp.clip(value - batch["value"], -CLIP, CLIP)
    error = jnp.maximum((value - batch["target"]) ** 2, (clipped - batch["target"]) ** 2)
    entropy = -(jnp.exp(logits) * logits).sum(1).mean()
    return policy + 0.5 * 0.5 * error.mean() - 0.01 * entropy


def make_iteration(num_envs, updates):
    """Rollout, advantages and all minibatches: (params, optimizer state, env state, obs, key) to the same."""
    tx = optimizer(updates)
    rows = num_envs * STEPS

    def act(carry, key):
        params, state, obs = carry
        key_action, key_step = jax.random.split(key)
        logits = apply(params["actor"], obs)
        action = jax.random.categorical(key_action, logits)
        log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
        next_obs, state, reward, done = jax.vmap(env_step)(jax.random.split(key_step, num_envs), state, action)
        row = {"obs": obs, "action": action, "log_prob": log_prob, "reward": reward, "done": done,
               "value": apply(params["critic"], obs)[:, 0]}
        return (params, state, next_obs), row

    def advantages(rollout, last_value):
        def back(carry, row):
            following, next_value = carry
            alive = 1.0 - row["done"]
            delta = row["reward"] + GAMMA * next_value * alive - row["value"]
            following = delta + GAMMA * LAMBDA * alive * following
            return (following, row["value"]), following

        return jax.lax.scan(back, (jnp.zeros(num_envs), last_value), rollout, reverse=True)[1]

    def minibatch(carry, batch):
        params, opt_state = carry
        updates_, opt_state = tx.update(jax.grad(loss_of)(params, batch), opt_state, params)
        return (optax.apply_updates(params, updates_), opt_state), None

    def epoch(carry, key):
        params, opt_state, data = carry
        order = jax.random.permutation(key, rows).reshape(MINIBATCHES, -1)
        batches = jax.tree.map(lambda x: x[order], data)
        (params, opt_state), _ = jax.lax.scan(minibatch, (params, opt_state), batches)
        return (params, opt_state, data), None

    def iteration(carry, _):
        params, opt_state, state, obs, key = carry
        key, key_act, key_epochs = jax.random.split(key, 3)
        (_, state, obs), rollout = jax.lax.scan(act, (params, state, obs), jax.random.split(key_act, STEPS))
        advantage = advantages(rollout, apply(params["critic"], obs)[:, 0])
        data = {**rollout, "advantage": advantage, "target": advantage + rollout["value"]}
        data = jax.tree.map(lambda x: x.reshape(rows, *x.shape[2:]), data)
        (params, opt_state, _), _ = jax.lax.scan(epoch, (params, opt_state, data), jax.random.split(key_epochs, EPOCHS))
        return (params, opt_state, state, obs, key), None

    def start(key):
        key, key_params, key_env = jax.random.split(key, 3)
        params = init_params(key_params)
        obs, state = jax.vmap(lambda k: ENV.reset(k, ENV_PARAMS))(jax.random.split(key_env, num_envs))
        return params, tx.init(params), state, obs, key

    return start, iteration


@functools.partial(jax.jit, static_argnums=1)
def greedy_return(params, episodes, key):
    """Mean return of whole greedy episodes."""
    obs, state = jax.vmap(lambda k: ENV.reset(k, ENV_PARAMS))(jax.random.split(key, episodes))

    def step(carry, step_key):
        state, obs, alive, total = carry
        action = apply(params["actor"], obs).argmax(1)
        obs, state, reward, done = jax.vmap(env_step)(jax.random.split(step_key, episodes), state, action)
        return (state, obs, alive & ~done, total + reward * alive), None

    first = (state, obs, jnp.ones(episodes, bool), jnp.zeros(episodes))
    return jax.lax.scan(step, first, jax.random.split(key, 500))[0][3].mean()


def rate(num_envs):
    count = max(1, 65536 // (num_envs * STEPS)) if num_envs < 512 else 4
    start, iteration = make_iteration(num_envs, 100 * count)
    run = jax.jit(lambda carry: jax.lax.scan(iteration, carry, None, count)[0])
    carry = [start(jax.random.key(0))]

    def work():
        carry[0] = jax.block_until_ready(run(carry[0]))

    report(rates(work, count * num_envs * STEPS), "steps/s", ("jax", "gymnax", "optax"))


def solve(seed):
    num_envs, total = 4, 500_000
    updates = total // (num_envs * STEPS)
    start, iteration = make_iteration(num_envs, updates)
    chunk = 4  # 2048 steps between evaluations
    run = jax.jit(lambda carry: jax.lax.scan(iteration, carry, None, chunk)[0])
    carry = start(jax.random.key(seed))
    evaluation, passed, steps = 0.0, 0, 0
    while passed < 2 and steps < total:
        carry = jax.block_until_ready(run(carry))
        steps += chunk * num_envs * STEPS
        begin = time.perf_counter()
        passed = passed + 1 if float(greedy_return(carry[0], 100, jax.random.key(steps))) >= 475 else 0
        evaluation += time.perf_counter() - begin
    print(json.dumps({"solved": passed >= 2, "env_steps": steps, "evaluation_seconds": evaluation}))


def env_rate(num_envs):
    count = max(64, 2**21 // num_envs)

    def step(carry, _):
        state, key = carry
        key, key_action, key_step = jax.random.split(key, 3)
        action = jax.random.randint(key_action, (num_envs,), 0, 2)
        obs, state, reward, done = jax.vmap(env_step)(jax.random.split(key_step, num_envs), state, action)
        return (state, key), (obs.sum(), reward.sum(), done.sum())

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, None, count))
    _, state = jax.vmap(lambda k: ENV.reset(k, ENV_PARAMS))(jax.random.split(jax.random.key(0), num_envs))
    carry = [(state, jax.random.key(1))]

    def work():
        carry[0] = jax.block_until_ready(run(carry[0]))[0]

    report(rates(work, count * num_envs), "steps/s", ("gymnax", "jax"), "draws its random actions itself")


if __name__ == "__main__":
    {"rate": rate, "solve": solve, "env": env_rate}[sys.argv[1]](int(sys.argv[2]))
