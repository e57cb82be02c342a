#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws steps per second against environments and threads from a benchmark JSON, with gnuplot.

usage: tools/plot_scaling.py RESULTS.json OUT.svg
Uses the medians of the benchmarks env/CartPole-v1/N and env/CartPole-v1/N/threads:K.
"""
import json
import re
import statistics
import subprocess
import sys


def series(path):
    """{threads: {environments: [steps per second, one per repetition]}}"""
    found = {}
    with open(path) as file:
        benchmarks = json.load(file)["benchmarks"]
    for row in benchmarks:
        match = re.fullmatch(r"env/CartPole-v1/(\d+)(?:/threads:(\d+))?", row.get("run_name", row["name"]).split("/real_time")[0])
        if match and row.get("run_type") != "aggregate":
            threads = int(match[2] or 1)
            found.setdefault(threads, {}).setdefault(int(match[1]), []).append(row["items_per_second"])
    return found


def script(data, out):
    plots, blocks = [], []
    for threads in sorted(data):
        plots.append(f"'-' with linespoints pointtype 7 title '{threads} thread{'s' if threads > 1 else ''}'")
        blocks += [f"{n} {statistics.median(rates)}" for n, rates in sorted(data[threads].items())] + ["e"]
    return "\n".join([
        "set terminal svg size 720,420 background '#ffffff'", f"set output '{out}'", "set logscale x 2", "set logscale y",
        "set xlabel 'environments'", "set ylabel 'CartPole steps per second'", "set grid", "set key bottom right",
        "set format y '%.0s %c'", "plot " + ", ".join(plots), *blocks, ""])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data = series(sys.argv[1])
    if not data:
        sys.exit(f"{sys.argv[1]} has no env/CartPole-v1 benchmarks")
    subprocess.run(["gnuplot"], input=script(data, sys.argv[2]), text=True, check=True)


main()
