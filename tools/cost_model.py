#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one NVIDIA H200 can do at most with every kernel of a program, from its PTX alone.

usage: cost_model.py PROGRAM [--write]
  --write  also writes docs/cost_model.md and bench/results/cost_model.json
"""
import json
import re
import sys
from collections import Counter
from pathlib import Path

import expected_times
import gpu_code
import ptx
from expected_times import CLOCK_HZ, LANES, MEMORY_BYTES_PER_S, SCHEDULERS, SMS, TENSOR_FLOP, WARP

root = Path(__file__).resolve().parents[1]

FREE = {"ld.param", "ld.const", "bra", "ret", "exit", "call", "mov", "cvta", "bar", "pragma"}
SPECIAL = ("sqrt", "rsqrt", "rcp", "ex2", "lg2", "sin", "cos", "tanh", "div")
WIDTH = re.compile(r"\.(?:f|b|u|s)(8|16|32|64|128)\b")
MMA_SHAPE = re.compile(r"\.m(\d+)n(\d+)k(\d+)\b")


def width_of(op):
    vector = 4 if ".v4" in op else 2 if ".v2" in op else 1
    bits = WIDTH.search(op)
    return vector * int(bits[1]) // 8 if bits else 0


def is_global(op):
    return not any(space in op for space in (".param", ".shared", ".local", ".const"))


def classify(line, counts):
    """Adds one instruction to the counts."""
    op = ptx.opcode(line)
    kind = op.split(".")[0]
    if kind in FREE or ".".join(op.split(".")[:2]) in FREE:
        return
    counts["issued"] += 1
    if kind in ("ld", "st", "atom", "red", "cp", "ldu", "ldmatrix", "stmatrix"):
        counts["memory"] += 1
        counts["local"] += ".local" in op
        counts["shared"] += ".shared" in op
        if kind == "cp" and "cp.async.c" in op:
            counts["read"] += int((re.findall(r",\s*(\d+)", line) or [0])[0])
        elif kind != "cp" and is_global(op):
            counts["written" if kind == "st" else "read"] += width_of(op)
            counts["written"] += width_of(op) if kind in ("atom", "red") else 0
    elif kind in ("mma", "wmma"):
        shape = MMA_SHAPE.search(op)
        counts["tensor"] += 2 * int(shape[1]) * int(shape[2]) * int(shape[3]) // WARP if shape else 0
    elif ".f64" in op:
        counts["fp64"] += 1
    elif kind in SPECIAL:
        counts["special"] += 1
        counts["issued"] += 8 * (".rn" in op and kind in ("div", "sqrt", "rcp"))  # a sequence, not one instruction
        counts["flop"] += 1
    elif ".f32" in op and kind in ("fma", "add", "sub", "mul", "min", "max", "neg", "abs", "setp", "selp"):
        counts["fp32"] += 1
        counts["flop"] += 2 if kind == "fma" else kind in ("add", "sub", "mul")
    else:
        counts["int"] += 1


def blocks_of(function):
    """Basic blocks [(label, lines)] in order."""
    blocks = [("", [])]
    for line in function.lines:
        if line.endswith(":"):
            blocks.append((line[:-1], []))
            continue
        blocks[-1][1].append(line)
        if ptx.opcode(line).split(".")[0] in ("bra", "ret", "exit"):
            blocks.append(("", []))
    return blocks


def successors(blocks):
    """Indices of the blocks that may follow each; a branch upwards closes a loop and is left out."""
    places = {label: i for i, (label, _) in enumerate(blocks) if label}
    following, loops = [], 0
    for i, (_, lines) in enumerate(blocks):
        last = lines[-1] if lines else ""
        kind = ptx.opcode(last).split(".")[0] if last else ""
        targets = [] if kind in ("ret", "exit") or kind == "bra" and not last.startswith("@") else [i + 1]
        if kind == "bra":
            target = places[last.split()[-1]]
            loops += target <= i
            targets += [target] * (target > i)
        following.append([t for t in targets if t < len(blocks)])
    return following, loops


def shortest_path(blocks, following, costs):
    """The blocks of the cheapest way through, after the test whether the thread has anything to do."""
    best = [0] * len(blocks)
    choice = [None] * len(blocks)
    guard = next((i for i, f in enumerate(following) if len(f) == 2), None)
    for i in reversed(range(len(blocks))):
        options = following[i][:1] if i == guard and is_return(blocks, following, following[i][1]) else following[i]
        choice[i] = min(options, key=lambda t: best[t], default=None)
        best[i] = costs[i]["issued"] + (best[choice[i]] if choice[i] is not None else 0)
    path, at = [], 0
    while at is not None:
        path.append(at)
        at = choice[at]
    return path


def is_return(blocks, following, i):
    while not blocks[i][1] and following[i]:
        i = following[i][0]
    return ptx.opcode(blocks[i][1][-1]).split(".")[0] in ("ret", "exit") and len(blocks[i][1]) == 1


def count(function, functions):
    """(on the shortest path, of everything, loops) of one pass."""
    blocks, costs, loops = blocks_of(function), [], 0
    everything = []
    for _, lines in blocks:
        least, most = Counter(), Counter()
        for line in lines:
            classify(line, least)
            classify(line, most)
            if "call" in ptx.opcode(line):
                for name in re.findall(r"[\w$]+", line):
                    if name in functions:
                        called = count(functions[name], functions)
                        least += called[0]
                        most += called[1]
                        loops += called[2]
        costs.append(least)
        everything.append(most)
    following, own_loops = successors(blocks)
    path = shortest_path(blocks, following, costs)
    return sum((costs[i] for i in path), Counter()), sum(everything, Counter()), loops + own_loops


def bounds(counts):
    """Passes per second that each part of the machine allows."""
    per_second = SMS * CLOCK_HZ
    limits = {"issue": per_second * SCHEDULERS * WARP / counts["issued"] if counts["issued"] else None}
    for unit, lanes in LANES.items():
        limits[unit] = per_second * lanes / counts[unit] if counts[unit] else None
    limits["tensor"] = per_second * TENSOR_FLOP / counts["tensor"] if counts["tensor"] else None
    moved = counts["read"] + counts["written"]
    limits["bandwidth"] = MEMORY_BYTES_PER_S / moved if moved else None
    return {k: v for k, v in limits.items() if v}


def kernels_of(program):
    """(readable name, kernel, functions of its module)."""
    for text in gpu_code.ptx_modules(program):
        functions = ptx.parse(text)
        kernels = [f for f in functions.values() if f.is_kernel]
        names = gpu_code.readable_names(f.name for f in kernels)
        for kernel in kernels:
            yield names[kernel.name], kernel, functions


def analyse(kernels):
    """{kernel: what one pass of one thread costs, and its bounds}."""
    rows = {}
    for name, kernel, functions in kernels:
        least, most, loops = count(kernel, functions)
        rows[name] = {"least": summary(least), "most": summary(most), "loops": loops}
    return dict(sorted(rows.items()))


def summary(counts):
    limits = bounds(counts)
    keys = ("issued", "fp32", "int", "special", "fp64", "memory", "shared", "local", "flop", "tensor", "read", "written")
    return {**{k: counts[k] for k in keys}, "bounds_per_s": {k: float(f"{v:.3g}") for k, v in sorted(limits.items())},
            "bound_by": min(limits, key=limits.get, default="")}


HEADER = ["| kernel | instructions | FLOP | read B | written B | at most, per s | bound by | all paths, per s |",
          "|---|---|---|---|---|---|---|---|"]


def billions(part):
    return f"{part['bounds_per_s'][part['bound_by']] / 1e9:.3g} G" if part["bound_by"] else ""


def interval(row, *keys):
    low, high = (sum(row[way][k] for k in keys) for way in ("least", "most"))
    return str(low) if low == high else f"{low} to {high}"


def table(rows):
    lines = list(HEADER)
    for name, r in rows.items():
        cells = [f"`{name}`" + " *" * (r["loops"] > 0), interval(r, "issued"), interval(r, "flop", "tensor"),
                 interval(r, "read"), interval(r, "written"), billions(r["least"]), r["least"]["bound_by"], billions(r["most"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


FUSED = re.compile("RolloutKernel<|(Dqn|Policy)(Act|Gradient)Kernel<")

INTRODUCTION = f"""<!-- Written by tools/cost_model.py from the PTX of a build. -->
# What a GPU can do at most

Counted in the PTX of every kernel: the instructions of one thread, and the bytes it reads and writes. No GPU is
involved; these are upper bounds, on record before a measurement, for one NVIDIA H200: {SMS} SMs at {CLOCK_HZ / 1e9} GHz,
{MEMORY_BYTES_PER_S / 1e12} TB/s, {SCHEDULERS} warp instructions per SM and cycle, {LANES['fp32']} fp32, {LANES['int']} integer and
{LANES['special']} special-function lanes.

- One pass is one thread's work: one environment step, one row of a batch.
- The first number is the shortest way through a kernel, such as a step that resets nothing, the second counts both
  sides of every branch. The bounds are of these two.
- In the tables of kernels a loop counts as one pass through it, or as none on the shortest way (kernels marked *), so the
  bound of such a kernel is to be divided by its number of passes. Whole iterations count their loops.
- Bytes are counted as if neighbouring threads touched neighbouring addresses and nothing came from a cache.
- PTX is not machine code: ptxas removes and adds instructions. Latency and launches are not in the model; a launch costs
  some 2 to 5 microseconds, so a kernel on few rows never gets near its bound.
"""


def fused_table(rows):
    lines = ["| kernel | instructions | FLOP |", "|---|---|---|"]
    lines += [f"| `{name}` | {r['most']['issued']} | {r['most']['flop'] + r['most']['tensor']} |" for name, r in rows.items()]
    return "\n".join(lines)


def document(rows, iterations):
    steps = {k: r for k, r in rows.items() if k.startswith("StepOp<")}
    fused = {k: r for k, r in rows.items() if FUSED.match(k)}
    rest = {k: r for k, r in rows.items() if k not in steps and k not in fused}
    parts = [INTRODUCTION, iterations, "\n## Environment steps\n", table(steps)]
    if fused:
        parts += ["\n## Fused kernels\n\nOne pass through every loop:\n", fused_table(fused)]
    return "\n".join(parts + ["\n## The others\n", table(rest)]) + "\n"


def main(words):
    if not words or words[0].startswith("-"):
        sys.exit(__doc__)
    try:
        kernels = list(kernels_of(words[0]))
    except gpu_code.NoDeviceCode as error:
        sys.exit(str(error))
    rows = analyse(kernels)
    iterations = expected_times.section({name: kernel for name, kernel, _ in kernels}, classify)
    print(table(rows), iterations, sep="\n\n")
    if "--write" in words:
        (root / "docs/cost_model.md").write_text(document(rows, iterations))
        machine = {"sms": SMS, "clock_hz": CLOCK_HZ, "memory_bytes_per_s": MEMORY_BYTES_PER_S,
                   "warp_instructions_per_sm_and_cycle": SCHEDULERS, "lanes_per_sm": LANES}
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
        text = f'{{"machine": {json.dumps(machine)},\n "kernels": {{\n{lines}\n}}}}'
        (root / "bench/results/cost_model.json").write_text(text + "\n")


main(sys.argv[1:])
