#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains every row of PROTOCOL on seeds 1 to 10 with its preset and writes the outcome, whatever it is.

usage: bench/learning/run.py [--program PROGRAM] [--out FILE] [--only REGEX [--append]] [--curves FILE] [--figures FOLDER]
About half an hour on two cores. --append replaces the rows that --only names and keeps the others of FILE. The
evaluations of what FIGURES names go to --curves; --figures draws it with 95 % bootstrap bands over the seeds:
`stampede plot --bands bench/results/curves.json --env ENV --only ALGORITHM,...` is all it does.

Scores are those of the final policy: greedy, 100 episodes, random streams apart from training. No best-of, no second
try: presets were tuned on seeds from 1000 on. `time` rows are timed from the start of the process to its end, one at
a time, and stop at the second of two consecutive evaluations that reach the bar.
"""
import argparse
import csv
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SEEDS = 10

# kind, algorithm and the preset if it has a name, environment, steps (None: the preset's), what every seed must reach,
# seeds that must (or "mean": the mean over seeds must)
PROTOCOL = [
    ("quality", "ppo", "CartPole-v1", 100_000, 475.0, 9),
    ("quality", "dqn", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "double_dqn", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "dueling_dqn", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "nstep_dqn", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "per_dqn", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "c51", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "qr_dqn", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "rainbow", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "soft_q", "CartPole-v1", 100_000, 475.0, 8),
    ("quality", "dqn", "MountainCar-v0", 120_000, -115.0, 7),
    ("quality", "ppo", "Pendulum-v1", 150_000, -200.0, "mean"),
    ("quality", "ppo", "Acrobot-v1", 500_000, -90.0, "mean"),
    ("quality", "dqn", "Acrobot-v1", 100_000, -90.0, "mean"),
    ("quality", "a3c", "CartPole-v1", 500_000, 475.0, 9),
    ("quality", "async_q", "CartPole-v1", 300_000, 475.0, 7),
    ("quality", "async_sarsa", "CartPole-v1", 300_000, 475.0, 7),
    ("quality", "async_nstep_q", "CartPole-v1", 300_000, 475.0, 7),
    ("quality", "ppo", "MountainCar-v0", 500_000, -115.0, "mean"),
    ("quality", "ppo", "MountainCarContinuous-v0", 200_000, 90.0, "mean"),
    ("quality", "a2c", "CartPole-v1", 500_000, 475.0, 9),
    ("quality", "a2c", "Pendulum-v1", 1_000_000, -220.0, "mean"),
    ("quality", "a2c", "Acrobot-v1", 500_000, -90.0, "mean"),
    ("quality", "reinforce", "CartPole-v1", 500_000, 475.0, 8),
    ("quality", "sac", "Pendulum-v1", 20_000, -180.0, 8),
    ("quality", "sac_v", "Pendulum-v1", 20_000, -180.0, 8),
    ("quality", "td3", "Pendulum-v1", 20_000, -180.0, 8),
    ("quality", "ddpg", "Pendulum-v1", 20_000, -180.0, 8),
    ("quality", "sac", "MountainCarContinuous-v0", 50_000, 90.0, 8),
    ("quality", "sac preset=sde", "MountainCarContinuous-v0", 50_000, 90.0, 8),
    ("quality", "td3", "MountainCarContinuous-v0", 100_000, 90.0, 8),
    ("quality", "ddpg", "MountainCarContinuous-v0", 100_000, 90.0, 8),
    ("quality", "sac_discrete", "CartPole-v1", 50_000, 475.0, 8),
    ("quality", "ddpg", "CartPole-v1", 100_000, 475.0, 7),
    ("quality", "pqn", "CartPole-v1", 150_000, 475.0, 9),
    ("quality", "deep_sarsa", "CartPole-v1", 150_000, 475.0, 8),
    ("quality", "deep_expected_sarsa", "CartPole-v1", 150_000, 475.0, 8),
    ("quality", "batched_q", "CartPole-v1", 300_000, 475.0, 7),
    ("quality", "batched_sarsa", "CartPole-v1", 300_000, 475.0, 7),
    ("quality", "batched_nstep_q", "CartPole-v1", 300_000, 475.0, 7),
    ("quality", "pqn", "Acrobot-v1", 300_000, -90.0, "mean"),
    ("quality", "trpo", "CartPole-v1", 100_000, 475.0, 9),
    ("quality", "trpo", "Pendulum-v1", 150_000, -200.0, "mean"),
    ("quality", "trpo", "Acrobot-v1", 100_000, -90.0, "mean"),
    ("quality", "q_learning", "FrozenLake-v1", None, 0.74, 10),
    ("quality", "expected_sarsa", "FrozenLake-v1", None, 0.7297, 10),
    ("quality", "soft_q_tabular", "FrozenLake-v1", None, 0.74, 10),
    ("quality", "q_learning", "CliffWalking-v1", None, -13.0, 10),
    ("quality", "expected_sarsa", "CliffWalking-v1", None, -15.0, 10),
    ("quality", "q_learning", "Taxi-v4", None, 7.5, 10),
    ("quality", "dyna_q", "Taxi-v4", None, 7.5, 10),
    ("quality", "dyna_q", "FrozenLake-v1", None, 0.74, 10),
    ("quality", "q_learning", "GridWorld-v0", None, 1.0, 10),
    ("quality", "linear_sarsa", "MountainCar-v0", None, -120.0, "mean"),
    ("quality", "ppo preset=1024", "CartPole-v1", None, 475.0, 9),
    ("quality", "ppo preset=8192", "CartPole-v1", None, 475.0, 9),
    ("quality", "ppo preset=65536", "CartPole-v1", None, 475.0, 9),
    ("quality", "ppo preset=1024", "Pendulum-v1", None, -200.0, "mean"),
    ("quality", "ppo preset=8192", "Pendulum-v1", None, -200.0, "mean"),
    ("quality", "ppo preset=1024", "Acrobot-v1", None, -90.0, "mean"),
    ("quality", "ppo preset=8192", "Acrobot-v1", None, -90.0, "mean"),
    ("quality", "dqn preset=4096", "CartPole-v1", None, 475.0, 8),
    ("quality", "pqn preset=1024", "CartPole-v1", None, 475.0, 9),
    ("time", "ppo", "CartPole-v1", 100_000, 475.0, 0.4),
    ("time", "dqn", "CartPole-v1", 100_000, 475.0, 2.0),
]
# Reported without a bar: the other presets, with the lengths they set.
UNBARRED = [
    ("q_learning", "FrozenLake8x8-v1"), ("sarsa", "FrozenLake-v1"), ("sarsa", "CliffWalking-v1"),
    ("sarsa", "Taxi-v4"), ("mc_control", "FrozenLake-v1"),
    ("linear_q", "MountainCar-v0"), ("linear_q", "CartPole-v1"), ("linear_sarsa", "CartPole-v1"),
    ("ppo", "CartPole-v0"), ("ppo", "FrozenLake-v1"), ("ppo", "FrozenLake8x8-v1"), ("ppo", "CliffWalking-v1"),
    ("ppo", "CliffWalkingSlippery-v1"), ("ppo", "Taxi-v4"), ("ppo", "GridWorld-v0"), ("dqn", "CartPole-v0"),
    ("noisy_dqn", "CartPole-v1"), ("dqn", "FrozenLake-v1"), ("dqn", "FrozenLake8x8-v1"), ("dqn", "CliffWalking-v1"),
    ("dqn", "CliffWalkingSlippery-v1"), ("dqn", "Taxi-v4"), ("dqn", "GridWorld-v0"), ("a3c", "Acrobot-v1"),
    ("a3c", "Pendulum-v1"), ("ppo_kl", "CartPole-v1"), ("ppo_kl", "Pendulum-v1"), ("ppo_kl", "Acrobot-v1"),
    ("a2c", "FrozenLake-v1"), ("a2c", "FrozenLake8x8-v1"), ("a2c", "CliffWalking-v1"),
    ("actor_critic", "CartPole-v1"), ("actor_critic", "Pendulum-v1"), ("soft_pg", "CartPole-v1"),
    ("soft_pg", "Pendulum-v1"), ("pqn", "MountainCar-v0"), ("pqn", "FrozenLake-v1"), ("pqn", "FrozenLake8x8-v1"),
    ("pqn", "CliffWalking-v1"), ("pqn", "Taxi-v4"), ("trpo", "CartPole-v0"), ("trpo", "MountainCar-v0"),
    ("trpo", "MountainCarContinuous-v0"), ("trpo", "FrozenLake-v1"), ("trpo", "FrozenLake8x8-v1"),
    ("trpo", "CliffWalking-v1"), ("trpo", "CliffWalkingSlippery-v1"), ("trpo", "Taxi-v4"), ("trpo", "GridWorld-v0"),
]

# Curves drawn over each other: picture, environment, algorithms.
FIGURES = [
    ("CartPole-v1_values", "CartPole-v1", ["dqn", "dueling_dqn", "nstep_dqn", "per_dqn", "c51", "qr_dqn", "rainbow", "soft_q"]),
    ("CartPole-v1_policies", "CartPole-v1", ["ppo", "ppo_kl", "trpo", "a2c", "a3c", "reinforce", "sac_discrete"]),
    ("Pendulum-v1", "Pendulum-v1", ["ppo", "trpo", "a2c", "sac", "td3", "ddpg"]),
    ("Acrobot-v1", "Acrobot-v1", ["ppo", "dqn", "a2c", "trpo", "pqn"]),
]


CURVES = {(env, algo) for _, env, algos in FIGURES for algo in algos}


def output_of(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cpu_name():
    try:
        return re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or "unknown"


def build_facts(program):
    cache = pathlib.Path(program).resolve().parent / "CMakeCache.txt"
    text = cache.read_text() if cache.exists() else ""
    names = "CMAKE_BUILD_TYPE|CMAKE_CXX_COMPILER|STAMPEDE_PORTABLE|STAMPEDE_CUDA"
    values = dict(re.findall(rf"^({names}):\w+=(.*)$", text, re.M))
    rules = cache.with_name("build.ninja")
    flags = re.search(r"^  FLAGS = (.*)$", rules.read_text(), re.M) if rules.exists() else None
    values["flags"] = flags[1] if flags else "unknown"
    compiler = output_of(values.pop("CMAKE_CXX_COMPILER", "c++"), "--version").splitlines()[0]
    return compiler, values


def context(program):
    compiler, flags = build_facts(program)
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "compiler": compiler,
        "build": flags,
        "commit": output_of("git", "rev-parse", "--short", "HEAD"),
        # What earlier measurements wrote changes no later one.
        "uncommitted_changes": output_of("git", "status", "--porcelain", "--untracked-files=no", "--", ":!bench/results",
                                         ":!docs") != "",
    }


def train(program, words, folder):
    start = time.perf_counter()
    command = [program, "train", *words, "--out", str(folder), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed: {done.stderr.strip()}")
    runs = runs_of(json.loads(done.stdout))
    return [described(run, words) for run in runs], [evaluations(run) for run in runs], seconds


def runs_of(result):
    return result["runs"] if "runs" in result else [result]


def evaluations(run):
    """The curve of a run: transitions and mean return of each of its evaluations."""
    with open(pathlib.Path(run["run_dir"]) / "evaluations.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {"seed": run["seed"], "env_step": [int(row["env_step"]) for row in rows],
            "return_mean": [float(row["return_mean"]) for row in rows]}


def described(run, words):
    """The run without its temporary folder; with its preset's name and the length that the command or preset gave it."""
    algo = " ".join([run["algo"], *(word for word in words if word.startswith("preset="))])
    config = (pathlib.Path(run["run_dir"]) / "config.toml").read_text()
    steps = int(re.search(r"^total_steps = (\d+)$", config, re.M)[1])
    kept = {key: value for key, value in run.items() if key not in ("run_dir", "interrupted")}
    return {"total_steps": steps} | kept | {"algo": algo}


def run_words(algo, env):
    name, *preset = algo.split()
    return [name, env, *preset]


def quality_runs(program, algo, env, steps, folder):
    words = [*run_words(algo, env), "--seeds", str(SEEDS), "seed=1", "--json"] + ([f"total_steps={steps}"] if steps else [])
    runs, curves, _ = train(program, words, folder / env / algo)
    return runs, curves, words


def timed_runs(program, algo, env, steps, bar, folder):
    words = [*run_words(algo, env), "--json", "--stop-at", f"{bar:g}", f"total_steps={steps}"]
    runs = []
    for seed in range(1, SEEDS + 1):
        [run], _, seconds = train(program, words + [f"seed={seed}"], folder / "timed" / f"{algo}_{env}_{seed}")
        runs.append(run | {"stop_at": bar, "seconds_process": round(seconds, 4)})
    return runs, words


def summarize(kind, algo, env, bar, need, runs, words):
    returns = [run["eval_return_mean"] for run in runs]
    solved = [run["solved_at_step"] for run in runs if run["solved_at_step"] is not None]
    summary = {
        "kind": kind, "algo": algo, "env": env, "commit": output_of("git", "rev-parse", "--short", "HEAD"),
        "command": "stampede train " + " ".join(words),
        "total_steps": runs[0]["total_steps"], "return_mean": round(statistics.mean(returns), 3),
        "return_median": round(statistics.median(returns), 3), "return_worst": round(min(returns), 3),
        "solved_seeds": len(solved), "seeds": len(runs),
    }
    if kind == "quality" and bar is not None:
        at_bar = sum(value >= bar for value in returns)
        met = statistics.mean(returns) >= bar if need == "mean" else at_bar >= need
        summary |= {"bar": bar, "bar_applies_to": "mean of seeds" if need == "mean" else f"{need} of {len(runs)} seeds",
                    "seeds_at_bar": at_bar, "met": met}
    if kind == "time":
        # A seed that never solves counts as slower than every other.
        solved_seconds = [run["seconds_process"] if run["solved_at_step"] is not None else float("inf") for run in runs]
        median = statistics.median(solved_seconds)
        summary |= {"bar": bar, "seconds_bar": need, "met": median <= need,
                    "seconds_median": None if median == float("inf") else round(median, 4)}
    return summary


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/native/stampede"))
    parser.add_argument("--out", default=str(ROOT / "bench/results/learning.json"))
    parser.add_argument("--only", default="", help="only rows whose 'kind algorithm environment' matches")
    parser.add_argument("--append", action="store_true", help="keep the rows of --out that do not match --only")
    parser.add_argument("--curves", default=str(ROOT / "bench/results/curves.json"), help="evaluations of each seed")
    parser.add_argument("--figures", default="", help="a folder for pictures of the curves")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run_protocol(arguments, pathlib.Path(folder))
        if arguments.figures:
            draw(arguments.program, pathlib.Path(arguments.curves), pathlib.Path(arguments.figures))
    return 0 if all(entry.get("met", True) for entry in result["summary"]) else 1


def draw(program, curves, figures):
    figures.mkdir(parents=True, exist_ok=True)
    there = {(entry["env"], entry["setting"]) for entry in json.loads(curves.read_text())["settings"]}
    for name, env, algos in FIGURES:
        chosen = [algo for algo in algos if (env, algo) in there]
        if chosen:
            subprocess.run([program, "plot", "--bands", str(curves), "--env", env, "--only", ",".join(chosen),
                            "--out", str(figures / f"{name}.svg")], check=True)


class CurveFile:
    """Evaluations of the rows in CURVES, written after each of them. keep: the rows that are there already stay."""

    def __init__(self, path, facts, keep):
        self.path = path
        kept = json.loads(path.read_text())["settings"] if keep and path.exists() else []
        self.data = {"context": facts, "settings": kept}

    def add(self, algo, env, steps, curves):
        if (env, algo) not in CURVES:
            return
        entry = {"env": env, "setting": algo, "total_steps": steps,
                 "commit": output_of("git", "rev-parse", "--short", "HEAD"), "seeds": curves}
        self.data["settings"] = [row for row in self.data["settings"] if (row["env"], row["setting"]) != (env, algo)] + [entry]
        self.path.write_text(json.dumps(self.data, indent=1) + "\n")


def is_wanted(only, part, row):
    kind = row.get("kind") or {"timed": "time", "runs": "quality"}.get(part, part)
    return re.search(only, f"{kind} {row['algo']} {row['env']}") is not None


def run_protocol(arguments, folder):
    result = {"context": context(arguments.program), "summary": [], "runs": [], "timed": []}
    if arguments.append:
        earlier = json.loads(pathlib.Path(arguments.out).read_text())
        result |= {part: [row for row in earlier[part] if not is_wanted(arguments.only, part, row)]
                   for part in ("summary", "runs", "timed")}
    curve_file = CurveFile(pathlib.Path(arguments.curves), result["context"], arguments.append)
    rows = PROTOCOL + [("quality", algo, env, None, None, None) for algo, env in UNBARRED]
    for kind, algo, env, steps, bar, need in rows:
        if not is_wanted(arguments.only, kind, {"algo": algo, "env": env}):
            continue
        if kind == "time":
            runs, words = timed_runs(arguments.program, algo, env, steps, bar, folder)
        else:
            runs, curves, words = quality_runs(arguments.program, algo, env, steps, folder)
            curve_file.add(algo, env, runs[0]["total_steps"], curves)
        summary = summarize(kind, algo, env, bar, need, runs, words)
        result["summary"].append(summary)
        result["timed" if kind == "time" else "runs"] += runs
        print(json.dumps(summary), file=sys.stderr)
        pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    sys.exit(main())
