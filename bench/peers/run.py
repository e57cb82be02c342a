#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures stampede and published peers in one run on this machine and writes medians of five and their ratios.

usage: bench/peers/run.py [--peers FOLDER] [--build FOLDER] [--out FILE] [--only REGEX]      about ten minutes

Needs bench/peers/setup.sh once, and a machine that does nothing else. A peer that is not installed, or that fails, is
named as unavailable with the reason; a part of stampede that this build lacks is skipped with a note. With --only, the
other groups of an existing FILE stay as they are.
"""
import argparse
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

import rows

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUNS = 5
TIME_LIMIT = 400  # seconds for one figure


class Unavailable(Exception):
    pass


def default_peers():
    cache = os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")
    return str(pathlib.Path(cache) / "stampede/peers")


def environment(cores):
    threads = {name: str(cores) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return os.environ | threads | {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}


def execute(command, cores, folder=ROOT):
    """Standard output of a command on the first `cores` cores. Raises Unavailable with the last line of its errors."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    try:
        done = subprocess.run([str(word) for word in command], cwd=folder, env=environment(cores), text=True,
                              capture_output=True, timeout=TIME_LIMIT,
                              preexec_fn=lambda: os.sched_setaffinity(0, allowed))
    except FileNotFoundError as error:
        raise Unavailable(f"not installed: {error.filename}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"no result within {TIME_LIMIT} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(lines[-1].strip() if lines else f"exit code {done.returncode}")
    return done.stdout


def last_json(text):
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise Unavailable("printed no result")
    return json.loads(lines[-1])


class Measurement:
    def __init__(self, build, peers):
        self.program, self.bench, self.peers = build / "stampede", build / "stampede_bench", peers

    def figure(self, entry, group):
        measure = {rows.BENCH: self.of_bench, rows.PROGRAM: self.of_program, rows.SOLVE: self.of_solve,
                   rows.PEER: self.of_peer, rows.PEER_SOLVE: self.of_peer_solve}[entry["how"]]
        figure = {"name": entry["name"]}
        try:
            figure |= measure(entry, group)
            figure["median"] = statistics.median(figure["runs"])
        except Unavailable as reason:
            figure["unavailable"] = str(reason)
        return figure

    def of_bench(self, entry, group):
        # Names hold nothing that a regular expression reads differently.
        text = execute([self.bench, f"--benchmark_filter=^{entry['benchmark']}$", "--benchmark_format=json",
                        f"--benchmark_repetitions={RUNS}"], group["cores"])
        if not text.startswith("{"):
            raise Unavailable(f"this build has no benchmark {entry['benchmark']}")
        results = [b for b in json.loads(text)["benchmarks"] if b.get("run_type") == "iteration"]
        if not results or any(b.get("error_occurred") for b in results):
            raise Unavailable(f"benchmark {entry['benchmark']} failed or is not in this build")
        if group["unit"] == "us":
            scale = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
            runs = [b["real_time"] * scale[b["time_unit"]] for b in results]
        else:
            runs = [b["items_per_second"] for b in results]
        return {"benchmark": entry["benchmark"], "runs": runs}

    def train(self, words, cores):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            text = execute([self.program, "train", *words, "--json", "--quiet", "--out", folder + "/run"], cores)
            return json.loads(text), time.perf_counter() - start

    def of_program(self, entry, group):
        runs = [self.train([*entry["words"], f"seed={seed}", "eval_episodes=1"], group["cores"])[0]
                for seed in range(1, RUNS + 1)]
        return {"command": "stampede train " + " ".join(entry["words"]),
                "runs": [run["env_steps"] / run["seconds_train"] for run in runs]}

    def of_solve(self, entry, group):
        words, seconds, unsolved = [*entry["words"], "--stop-at", "475"], [], 0
        for seed in range(1, RUNS + 1):
            run, process = self.train([*words, f"seed={seed}"], group["cores"])
            seconds.append(process - run["seconds_eval"])
            unsolved += run["solved_at_step"] is None
        return {"command": "stampede train " + " ".join(words), "runs": seconds, "unsolved": unsolved}

    def python(self, entry):
        return self.peers / entry["stack"] / "bin/python"

    def of_peer(self, entry, group):
        result = last_json(execute([self.python(entry), *entry["words"]], group["cores"], HERE))
        return {"command": " ".join(map(str, entry["words"])), "versions": result["versions"], "runs": result["runs"],
                **({"note": result["note"]} if result["note"] else {})}

    def of_peer_solve(self, entry, group):
        seconds, unsolved = [], 0
        for seed in range(1, RUNS + 1):
            start = time.perf_counter()
            result = last_json(execute([self.python(entry), *entry["words"], seed], group["cores"], HERE))
            seconds.append(time.perf_counter() - start - result["evaluation_seconds"])
            unsolved += not result["solved"]
        return {"command": " ".join(map(str, entry["words"])), "runs": seconds, "unsolved": unsolved}


def with_ratio(peer, ours, lower_is_better):
    if "median" in peer and "median" in ours:
        peer["stampede_is_times_faster"] = round(
            peer["median"] / ours["median"] if lower_is_better else ours["median"] / peer["median"], 2)
    return peer


def output_of(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def context():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"date": datetime.date.today().isoformat(), "cpu": cpu[1] if cpu else platform.processor(),
            "num_cpus": len(os.sched_getaffinity(0)), "python": platform.python_version(),
            "commit": output_of("git", "rev-parse", "--short", "HEAD"), "load_before": round(os.getloadavg()[0], 2)}


def show(group):
    print(f"{group['name']} ({group['unit']}, {group['cores']} core{'s' if group['cores'] > 1 else ''})")
    for entry in [group["stampede"], *group["peers"]]:
        value = f"{entry['median']:>14,.2f}" if "median" in entry else f"{'-':>14}"
        ratio = entry.get("stampede_is_times_faster")
        print(f"  {value}  {entry['name']}" + (f"  ({ratio}x)" if ratio else "") +
              (f"  unavailable: {entry['unavailable']}" if "unavailable" in entry else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=default_peers(), help="what setup.sh made")
    parser.add_argument("--build", default=str(ROOT / "build/native"), help="folder with stampede and stampede_bench")
    parser.add_argument("--out", default=str(ROOT / "bench/results/peers.json"))
    parser.add_argument("--only", default="", help="only groups whose name matches")
    arguments = parser.parse_args()
    measurement = Measurement(pathlib.Path(arguments.build).resolve(), pathlib.Path(arguments.peers).resolve())
    out = pathlib.Path(arguments.out)
    kept = json.loads(out.read_text())["groups"] if arguments.only and out.exists() else []
    results = {group["name"]: group for group in kept}
    facts = context()
    if facts["load_before"] > 0.5:
        print(f"the machine is busy (load {facts['load_before']}): figures will be noisy", file=sys.stderr)
    for group in rows.GROUPS:
        if not re.search(arguments.only, group["name"]):
            continue
        ours = measurement.figure(group["stampede"], group)
        lower = group["unit"] in ("us", "s")
        peers = [with_ratio(measurement.figure(entry, group), ours, lower) for entry in group["peers"]]
        result = {"name": group["name"], "unit": group["unit"], "cores": group["cores"],
                  "commit": facts["commit"], "load_before": facts["load_before"], "stampede": ours, "peers": peers}
        results[group["name"]] = result
        show(result)
        ordered = [results[g["name"]] for g in rows.GROUPS if g["name"] in results]
        out.write_text(json.dumps({"context": facts, "groups": ordered}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
