#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the generated blocks of README.md from the committed bench/results/*.json.

usage: tools/readme_tables.py [--check] [ROOT]      --check: change nothing, exit 1 when a block is not what it would be

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. Two kinds of JSON are read:
  Google Benchmark's ({"context": ..., "benchmarks": [...]}), one row per benchmark: median of the repetitions and spread;
  results of `train --json` ({"runs": [...]} or a list), one row per algorithm, environment and budget, over seeds.
"""
import json
import math
import pathlib
import re
import statistics
import sys

NOT_MEASURED = "not yet measured"


def read_results(folder):
    benchmarks, runs = [], []
    for path in sorted(folder.glob("**/*.json")):
        data = json.loads(path.read_text())
        if isinstance(data, dict) and "benchmarks" in data:
            benchmarks.append((path, data))
        elif isinstance(data, dict) and "runs" in data:
            runs += data["runs"]
        elif isinstance(data, list):
            runs += data
    return benchmarks, [run for run in runs if isinstance(run, dict) and {"algo", "env"} <= run.keys()]


def with_unit(value, unit=""):
    if not math.isfinite(value):
        return str(value)
    for factor, prefix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (1, " "), (1e-3, " m"), (1e-6, " µ"), (1e-9, " n")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{prefix}{unit}".rstrip()
    return f"{value:.3g} {unit}".rstrip()


def group_repetitions(rows):
    groups = {}
    for row in rows:
        if row.get("run_type", "iteration") == "iteration" and not row.get("error_occurred"):
            groups.setdefault(row.get("run_name", row["name"]), []).append(row)
    return groups


def describe_machine(context):
    parts = [context.get("cpu") or context.get("machine"), f"{context['num_cpus']} cores" if "num_cpus" in context else None,
             context.get("compiler"), context.get("gpu"), f"commit {context['commit']}" if "commit" in context else None]
    return ", ".join(str(part) for part in parts if part)


def short_name(name):
    return re.sub(r"/(real_time|process_time|repeats:\d+|min_time:[0-9.]+|iterations:\d+)", "", name)


def speed_table(benchmarks):
    lines = []
    for path, data in benchmarks:
        groups = group_repetitions(data["benchmarks"])
        if not groups:
            continue
        lines += [f"`{path.name}`: {describe_machine(data.get('context', {}))}", "", "| benchmark | rate | time | spread |", "|---|---|---|---|"]
        for name, rows in groups.items():
            seconds = [row["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[row["time_unit"]] for row in rows]
            rates = [row["items_per_second"] for row in rows if "items_per_second" in row]
            measured = rates or seconds
            middle = statistics.median(measured)
            spread = f"±{50 * (max(measured) - min(measured)) / middle:.1f} %" if len(measured) > 1 and middle else ""
            rate = with_unit(middle, "/s") if rates else ""
            lines.append(f"| {short_name(name)} | {rate} | {with_unit(statistics.median(seconds), 's')} | {spread} |")
        lines.append("")
    return "\n".join(lines).rstrip() or NOT_MEASURED


def learning_table(runs):
    groups = {}
    for run in runs:
        groups.setdefault((run["env"], run["algo"], run.get("total_steps", run.get("env_steps"))), []).append(run)
    if not groups:
        return NOT_MEASURED
    lines = ["| environment | algorithm | steps | seeds | return (mean of seeds) | worst seed | solved at step (median) | seconds (median) |",
             "|---|---|---|---|---|---|---|---|"]
    for (env, algo, steps), group in sorted(groups.items(), key=lambda item: tuple(map(str, item[0]))):
        returns = [run["eval_return_mean"] for run in group if run.get("eval_return_mean") is not None]
        solved = [run["solved_at_step"] for run in group if run.get("solved_at_step") is not None]
        seconds = [run["seconds_total"] for run in group if run.get("seconds_total") is not None]
        lines.append("| " + " | ".join([
            env, algo, f"{steps:,}" if isinstance(steps, int) else str(steps), str(len(group)),
            f"{statistics.mean(returns):.3g}" if returns else "", f"{min(returns):.3g}" if returns else "",
            f"{int(statistics.median(solved)):,} ({len(solved)}/{len(group)})" if solved else "",
            f"{statistics.median(seconds):.2f}" if seconds else ""]) + " |")
    return "\n".join(lines)


def fill(text, name, body):
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.S)
    if not pattern.search(text):
        raise SystemExit(f"README.md has no block '{name}'")
    return pattern.sub(lambda match: f"{match[1]}{body}\n{match[2]}", text)


def main(arguments):
    check = "--check" in arguments
    rest = [argument for argument in arguments if argument != "--check"]
    root = pathlib.Path(rest[0]) if rest else pathlib.Path(__file__).resolve().parent.parent
    readme = root / "README.md"
    before = readme.read_text()
    benchmarks, runs = read_results(root / "bench" / "results")
    after = fill(fill(before, "speed", speed_table(benchmarks)), "learning", learning_table(runs))
    if before == after:
        return 0
    if check:
        print("README.md's measured tables differ from bench/results: run tools/readme_tables.py")
        return 1
    readme.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
