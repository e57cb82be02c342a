# SPDX-License-Identifier: Apache-2.0
"""Runs official Gymnasium environments from injected states and writes self-contained CSV files."""
import json
import warnings

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit

from precision import spec_of
from tolerance import analyse, safe_steps, scale_of, tolerances

warnings.filterwarnings("ignore")
gym.logger.min_level = gym.logger.ERROR
SOURCE = f"gymnasium {gym.__version__}"
ATTRIBUTES = ("book_or_nips", "dt", "torque_noise_max")  # set on the unwrapped Acrobot, not constructor arguments
INDEX_ROWS, TOLERANCE_ROWS = [], []


def num(x):
    """The shortest decimal that round-trips the float64."""
    if x is None or x == "":
        return ""
    if isinstance(x, (bool, np.bool_)):
        return str(int(x))
    return str(int(x)) if isinstance(x, (int, np.integer)) else repr(float(x))


def write_csv(path, meta, columns, rows):
    with open(path, "w", newline="\n") as f:
        f.writelines(f"# {k}: {v}\n" for k, v in meta)
        f.write(",".join(columns) + "\n")
        f.writelines(",".join(v if isinstance(v, str) else num(v) for v in r) + "\n" for r in rows)


def make(env_id, kwargs):
    env = gym.make(env_id, **{k: v for k, v in kwargs.items() if k not in ATTRIBUTES})
    for k in ATTRIBUTES:
        if k in kwargs:
            setattr(env.unwrapped, k, kwargs[k])
    env.reset(seed=0)
    return env


def time_limit(env):
    while env is not env.unwrapped:
        if isinstance(env, TimeLimit):
            return env
        env = env.env
    return None


def inject(env, state):
    u = env.unwrapped
    if type(u).__name__ == "AcrobotEnv":  # the official reset rounds to float32
        u.state = np.array(state, dtype=np.float32)
        assert all(float(a) == float(b) for a, b in zip(u.state, state)), "use a float32-exact start"
        return u._get_ob()
    u.state = np.array(state, dtype=np.float64)
    if hasattr(u, "_get_obs"):
        u.last_u = None
        return u._get_obs()
    return np.array(u.state, dtype=np.float32)


def run(env_id, kwargs, state, policy, max_len, elapsed):
    env, dtype = make(env_id, kwargs), spec_of(env_id).get("action")
    limit = time_limit(env)
    limit._elapsed_steps = elapsed
    obs, u = inject(env, state), env.unwrapped
    row = lambda a, o, r, te, tr: dict(action=a, obs=[float(v) for v in o], reward=r, terminated=bool(te),
                                       truncated=bool(tr), state=[float(v) for v in u.state])
    rows = [row(None, obs, None, False, False)]
    for k in range(max_len):
        if not callable(policy) and k >= len(policy):
            break
        a = policy(u.state, k) if callable(policy) else policy[k]
        a = float(np.float32(a)) if dtype else int(a)
        o, r, te, tr, _ = env.step(np.array([a], dtype=dtype) if dtype else a)
        rows.append(row(a, o, float(r), te, tr))
        if te or tr:
            break
    return rows, limit._max_episode_steps


def end_of(terminated, truncated):
    return "+".join(w for w, f in (("terminated", terminated), ("truncated", truncated)) if f) or "actions_exhausted"


def index(name, env_id, kwargs, length, end, total, open32, open64, safe32, safe64):
    INDEX_ROWS.append([name, env_id, json.dumps(kwargs).replace(",", ";"), length, end, num(total), int(open32),
                       int(open64), safe32, safe64])


def classic(out, name, env_id, kwargs, state, policy, max_len, note, policy_text, elapsed=0):
    """One continuous-state trajectory with its tolerances."""
    rows, limit = run(env_id, kwargs, state, policy, max_len, elapsed)
    spec = spec_of(env_id)
    num_obs, num_state, length = len(spec["obs"]), len(spec["state"]), len(rows) - 1
    whole, scale = analyse(env_id, kwargs, rows), scale_of(rows)
    tol32, tol64 = tolerances(whole, scale, num_obs)
    ok32 = whole["noisy_bad32"] is None and np.all(tol32 < 1e-2 * np.maximum(1, scale))
    ok64 = whole["noisy_bad64"] is None and np.all(tol64 < 1e-2 * np.maximum(1, scale))
    seg32 = seg64 = None
    if length > 40:
        seg32, seg64 = tolerances(analyse(env_id, kwargs, rows, 40), scale, num_obs)
    safe32 = safe_steps(env_id, kwargs, rows, np.float32, 1e-3)
    safe64 = safe_steps(env_id, kwargs, rows, np.float64, 1e-6)
    end = end_of(rows[-1]["terminated"], rows[-1]["truncated"])
    total = float(sum(r["reward"] for r in rows[1:]))
    meta = [("golden", "trajectory v1"), ("name", name), ("env", env_id), ("source", SOURCE),
            ("kwargs", json.dumps(kwargs)), ("time_limit", limit), ("elapsed", elapsed), ("note", note),
            ("policy", policy_text), ("action_type", "continuous 1" if spec.get("action") else "discrete"),
            ("obs_names", ",".join(spec["obs"])), ("state_names", ",".join(spec["state"])),
            ("initial_state", ",".join(num(v) for v in rows[0]["state"])), ("length", length), ("end", end),
            ("return", num(total)), ("actions", ",".join(num(r["action"]) for r in rows[1:]))]
    obs_columns, state_columns = [f"obs_{i}" for i in range(num_obs)], [f"state_{i}" for i in range(num_state)]
    write_csv(f"{out}/{name}.csv", meta,
              ["t", "action"] + obs_columns + ["reward", "terminated", "truncated"] + state_columns,
              [[t, r["action"], *r["obs"], r["reward"], r["terminated"], r["truncated"], *r["state"]]
               for t, r in enumerate(rows)])
    two = lambda v, i, ok=True: f"{v[i]:.2g}" if ok and v is not None else ""
    for i, column in enumerate(obs_columns + ["reward"] + state_columns):
        TOLERANCE_ROWS.append([name, column, f"{scale[i]:.3g}", two(whole["f32"], i), two(whole["n32"], i),
                               two(whole["n64"], i), two(tol32, i, ok32), two(tol64, i, ok64), two(seg32, i),
                               two(seg64, i), int(ok32), int(ok64)])
    index(name, env_id, kwargs, length, end, total, ok32, ok64, safe32, safe64)
    print(f"{name:32s} T={length} {end} open loop f32={ok32} f64={ok64} safe {safe32}/{safe64}")


def tabular(out, name, env_id, kwargs, actions, note, start=None):
    """One trajectory of a deterministic tabular environment."""
    env = make(env_id, kwargs)
    u, limit = env.unwrapped, time_limit(env)
    u.s = u.s if start is None else start
    rows = [[0, None, int(u.s), None, False, False, int(u.s)]]
    for k, a in enumerate(actions):
        o, r, te, tr, info = env.step(int(a))
        assert info["prob"] == 1.0, "the list must be deterministic"
        rows.append([k + 1, int(a), int(o), float(r), bool(te), bool(tr), int(u.s)])
        if te or tr:
            break
    end, total, length = end_of(rows[-1][4], rows[-1][5]), float(sum(r[3] for r in rows[1:])), len(rows) - 1
    meta = [("golden", "trajectory v1"), ("name", name), ("env", env_id), ("source", SOURCE),
            ("kwargs", json.dumps(kwargs)), ("time_limit", limit._max_episode_steps if limit else "none"),
            ("elapsed", 0), ("note", note), ("action_type", "discrete"), ("obs_names", "s"), ("state_names", "s"),
            ("initial_state", rows[0][2]), ("length", length), ("end", end), ("return", num(total)),
            ("actions", ",".join(str(r[1]) for r in rows[1:])), ("tol", "exact")]
    write_csv(f"{out}/{name}.csv", meta, ["t", "action", "obs_0", "reward", "terminated", "truncated", "state_0"], rows)
    index(name, env_id, kwargs, length, end, total, True, True, length, length)
    print(f"{name:32s} T={length} {end}")


def table(out, name, env_id, kwargs, note):
    """The exact transition table, in the official outcome order."""
    env = gym.make(env_id, **kwargs)
    u = env.unwrapped
    rows = [[int(s), int(a), float(p), int(s2), float(r), bool(te)]
            for s in sorted(u.P) for a in sorted(u.P[s]) for p, s2, r, te in u.P[s][a]]
    starts = np.flatnonzero(u.initial_state_distrib)
    shown = ": " + ",".join(map(str, starts)) if len(starts) < 10 else ""
    meta = [("golden", "transition table v1"), ("name", name), ("env", env_id), ("source", SOURCE),
            ("kwargs", json.dumps(kwargs)), ("time_limit", env.spec.max_episode_steps or "none"), ("note", note),
            ("n_states", len(u.P)), ("n_actions", len(u.P[0])),
            ("initial_states", f"uniform over {len(starts)} states{shown}")]
    write_csv(f"{out}/{name}.csv", meta, ["s", "a", "prob", "s_next", "reward", "terminated"], rows)
    print(f"{name:32s} rows={len(rows)}")


def append_lists(out):
    """Adds this run's rows to index.csv and tolerances.csv, replacing rows of the same name."""
    for file, rows in (("index.csv", INDEX_ROWS), ("tolerances.csv", TOLERANCE_ROWS)):
        names = {r[0] for r in rows}
        with open(f"{out}/{file}") as f:
            kept = [line for line in f if line.split(",")[0] not in names]
        with open(f"{out}/{file}", "w", newline="\n") as f:
            f.writelines(kept)
            f.writelines(",".join(map(str, r)) + "\n" for r in rows)
