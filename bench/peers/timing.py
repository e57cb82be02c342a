# SPDX-License-Identifier: Apache-2.0
"""What every peer's script prints: one line of JSON with the figures of five runs."""
import importlib.metadata
import json
import time

RUNS = 5


def version(*packages):
    return ", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages)


def report(runs, unit, packages, note=""):
    print(json.dumps({"runs": runs, "unit": unit, "versions": version(*packages), "note": note}))


def rates(work, count, runs=RUNS):
    """count per second of work(), which does `count` things, after one run that is not counted."""
    work()
    figures = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        figures.append(count / (time.perf_counter() - start))
    return figures


def microseconds(work, calls, runs=RUNS):
    """Microseconds per call of work()."""
    return [1e6 / rate for rate in rates(lambda: [work() for _ in range(calls)], calls, runs)]
