#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time until CartPole-v1 is solved against asynchronous workers, beside the batched form of each method.

usage: bench/learning/async.py [--program PROGRAM] [--out FILE.json] [--figure FILE.svg] [--workers 1,2]

Every run is a process of its own, one at a time, timed from its start to the second of two consecutive evaluations that
reach 475 (training and evaluation: what waiting costs). Seeds 1 to 10; a seed that never gets there counts as slower
than every other. The figure is drawn by gnuplot where that is installed.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from run import ROOT, SEEDS, context, train

ENV, BAR, STEPS = "CartPole-v1", 475.0, 500_000
# Asynchronous method and its synchronous form on one device.
METHODS = [("a3c", "a2c"), ("async_q", "batched_q"), ("async_sarsa", "batched_sarsa"),
           ("async_nstep_q", "batched_nstep_q")]


def solving_times(program, algo, more):
    """What every seed took, and the command."""
    words = [algo, ENV, f"total_steps={STEPS}", "eval_every=5000", "--json", "--stop-at", f"{BAR:g}", *more]
    runs = []
    for seed in range(1, SEEDS + 1):
        with tempfile.TemporaryDirectory() as folder:
            [run], _, seconds = train(program, words + [f"seed={seed}"], pathlib.Path(folder) / "run")
        runs.append({"seed": seed, "solved_at_step": run["solved_at_step"], "env_steps": run["env_steps"],
                     "seconds_train": run["seconds_train"], "seconds_process": round(seconds, 4)})
    return runs, "stampede train " + " ".join(words)


def median(values):
    middle = statistics.median(values)
    return None if middle == float("inf") else round(middle, 4)


def summarize(algo, workers, runs, command):
    solved = [run for run in runs if run["solved_at_step"] is not None]
    late = [float("inf")] * (len(runs) - len(solved))
    return {
        "algo": algo, "workers": workers, "command": command, "seeds": len(runs), "solved_seeds": len(solved),
        "seconds_median": median([run["seconds_process"] for run in solved] + late),
        "steps_median": median([float(run["solved_at_step"]) for run in solved] + late),
        "steps_per_second": round(statistics.median(run["env_steps"] / run["seconds_train"] for run in runs)),
    }


def figure_script(summary, path):
    """Seconds against workers, one line per method; the batched forms as level lines."""
    plots, blocks = [], []
    for k, (algo, batched) in enumerate(METHODS, start=1):
        points = [row for row in summary if row["algo"] == algo and row["seconds_median"] is not None]
        if points:
            plots.append(f"'-' with linespoints linecolor {k} pointtype 7 title '{algo}' noenhanced")
            blocks += [f"{row['workers']} {row['seconds_median']}" for row in points] + ["e"]
        for row in summary:
            if row["algo"] == batched and row["seconds_median"] is not None:
                plots.append(f"{row['seconds_median']} with lines linecolor {k} dashtype 2 title '{batched}' noenhanced")
    most = max([row["workers"] for row in summary if row["workers"]], default=1)
    return "\n".join([
        "set terminal svg size 720,420 background '#ffffff'", f"set output '{path}'", f"set xrange [0.8:{most + 0.2}]",
        "set xtics 1", "set yrange [0:*]", "set grid", "set key outside right", "set xlabel 'worker threads'",
        "set ylabel 'seconds until CartPole-v1 is solved (median of 10 seeds)'", "plot " + ", ".join(plots), *blocks, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/native/stampede"))
    parser.add_argument("--out", default=str(ROOT / "bench/results/async.json"))
    parser.add_argument("--figure", default=str(ROOT / "docs/async.svg"))
    parser.add_argument("--workers", default="1,2", help="numbers of workers, one line of the figure through them")
    arguments = parser.parse_args()
    result = {"context": context(arguments.program), "env": ENV, "bar": BAR, "summary": [], "runs": []}
    for algo, batched in METHODS:
        jobs = [(algo, int(w), [f"workers={w}"]) for w in arguments.workers.split(",")] + [(batched, None, [])]
        for name, workers, more in jobs:
            runs, command = solving_times(arguments.program, name, more)
            result["summary"].append(summarize(name, workers, runs, command))
            result["runs"] += [{"algo": name, "workers": workers} | run for run in runs]
            print(json.dumps(result["summary"][-1]), file=sys.stderr)
            pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")
    if shutil.which("gnuplot"):
        subprocess.run(["gnuplot"], input=figure_script(result["summary"], arguments.figure), text=True, check=True)


if __name__ == "__main__":
    main()
