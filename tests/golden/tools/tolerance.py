# SPDX-License-Identifier: Apache-2.0
"""How far a correct implementation may deviate from a golden trajectory, measured with an ensemble of noisy replays."""
import numpy as np

from precision import Arithmetic, spec_of

NOISY_RUNS = 24


def flat(row):
    return np.array(row["obs"] + [row["reward"]] + row["state"], dtype=np.float64)


def scale_of(rows):
    return np.max(np.abs([flat(r) for r in rows[1:]]), axis=0)


def deviation(env_id, kwargs, rows, ar, segment=None):
    """-> (max |deviation| per column, first row whose terminated flag differs or None)"""
    step = spec_of(env_id)["step"]
    worst, bad, state = np.zeros(len(flat(rows[1]))), None, None
    for t in range(1, len(rows)):
        if state is None or (segment and (t - 1) % segment == 0):
            state = [ar.f(v) for v in rows[t - 1]["state"]]
        state, reward, done, obs = step(ar, state, rows[t]["action"], kwargs)
        got = np.array([float(np.float32(v)) for v in obs] + [reward] + [float(v) for v in state])
        gap = np.abs(got - flat(rows[t]))
        if done != rows[t]["terminated"]:
            gap[len(obs)] = 0.0
            bad = bad or t
        worst = np.maximum(worst, gap)
    return worst, bad


def analyse(env_id, kwargs, rows, segment=None):
    """-> dict of plain and noisy deviations in float32 and float64."""
    out = {}
    for key, dtype, seed in (("32", np.float32, 0), ("64", np.float64, 100)):
        plain, bad = deviation(env_id, kwargs, rows, Arithmetic(dtype), segment)
        noisy, noisy_bad = plain.copy(), bad
        for i in range(NOISY_RUNS):
            gap, b = deviation(env_id, kwargs, rows, Arithmetic(dtype, 1.0, seed + i), segment)
            noisy, noisy_bad = np.maximum(noisy, gap), noisy_bad or b
        out.update({"f" + key: plain, "bad" + key: bad, "n" + key: noisy, "noisy_bad" + key: noisy_bad})
    return out


def tolerances(analysis, scale, num_obs):
    """4 x the noisy maximum, with floors; observations of the reference are float32."""
    m = np.maximum(1.0, scale)
    tol32 = np.maximum(4 * analysis["n32"], 1e-6 * m)
    tol64 = np.maximum(4 * analysis["n64"], 1e-11 * m)
    tol64[:num_obs] = np.maximum(tol64[:num_obs], 1.2e-7 * m[:num_obs])
    return tol32, tol64


def safe_steps(env_id, kwargs, rows, dtype, relative):
    """Leading rows over which 4 x every noisy deviation stays below relative * max(1, column maximum)."""
    step = spec_of(env_id)["step"]
    scale, best = np.maximum(1.0, scale_of(rows)), len(rows) - 1
    for i in range(NOISY_RUNS + 1):
        ar = Arithmetic(dtype, 1.0 if i else 0.0, i)
        state = [ar.f(v) for v in rows[0]["state"]]
        for t in range(1, best + 1):
            state, reward, done, obs = step(ar, state, rows[t]["action"], kwargs)
            got = np.array([float(np.float32(v)) for v in obs] + [reward] + [float(v) for v in state])
            if done != rows[t]["terminated"] or np.any(4 * np.abs(got - flat(rows[t])) > relative * scale):
                best = t - 1
                break
    return best
