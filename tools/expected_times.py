# SPDX-License-Identifier: Apache-2.0
"""How long one iteration takes at least on one H200, from the PTX of its kernels and loop_trips.tsv."""
from collections import Counter
from math import ceil
from pathlib import Path

import ptx

TRIPS = Path(__file__).resolve().parent / "loop_trips.tsv"
OUTSIDE = -1  # as a loop's number: what is in no loop
# Per SM and cycle, of sm_90 (CUDA C++ Programming Guide, arithmetic instructions), unless it says otherwise.
SMS, CLOCK_HZ, MEMORY_BYTES_PER_S = 132, 1.98e9, 4.3e12  # bytes per second as others measured it; 4.8e12 is on paper
SCHEDULERS, WARP = 4, 32  # a scheduler issues one warp instruction per cycle
LANES = {"fp32": 128, "int": 64, "special": 16, "fp64": 64, "memory": 32}
TENSOR_FLOP = 4096 * 0.6  # bf16, dense; mma.sync reaches about 60 % of it
LAUNCH_S, READ_S = 2e-6, 0.6e-6  # a node of a graph; a read of device memory that the next one depends on


def loops_of(function):
    """(first, last) line of every loop, in the order of the first; branches back to one label are one loop."""
    lines = function.lines
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    ends = {}
    for i, line in enumerate(lines):
        if not line.endswith(":") and ptx.opcode(line).split(".")[0] == "bra":
            target = labels.get(line.split()[-1], i + 1)
            if target <= i:
                ends[target] = max(ends.get(target, 0), i)
    return sorted(ends.items())


def own_counts(function, classify):
    """{loop: (counts of one pass without its inner loops, the loop around it)}."""
    loops = {OUTSIDE: (-1, len(function.lines)), **dict(enumerate(loops_of(function)))}

    def around(place, among):
        inside = [n for n in among if loops[n][0] <= place <= loops[n][1]]
        return min(inside, key=lambda n: loops[n][1] - loops[n][0])

    found = {n: (Counter(), around(first, [m for m in loops if m != n]) if n != OUTSIDE else None)
             for n, (first, _) in loops.items()}
    for i, line in enumerate(function.lines):
        if not line.endswith(":"):
            classify(line, found[around(i, loops)][0])
    return found


def read_trips():
    """{case: (kernel, {loop: (FLOP, passes)})}."""
    cases = {}
    for line in TRIPS.read_text().splitlines():
        if line and not line.startswith("#"):
            case, kernel, loop, flop, passes, _ = line.split("\t")
            cases.setdefault(case, (kernel, {}))[1][int(loop)] = int(flop), int(passes)
    return cases


def case_costs(kernels, classify):
    """{case: what one thread does}; kernels = {readable name: Function}. Raises ValueError where loops have changed."""
    costs = {}
    for case, (kernel, trips) in read_trips().items():
        if kernel not in kernels:
            raise ValueError(f"no kernel {kernel}")
        own, total = own_counts(kernels[kernel], classify), Counter()
        for loop, (flop, _) in trips.items():
            counts, around = own.get(loop, (Counter(), None))
            if counts["flop"] + counts["tensor"] != flop:
                raise ValueError(f"{kernel}: loop {loop} does {counts['flop'] + counts['tensor']} FLOP, not {flop}")
            passes = 1
            while loop in trips:  # inner loops run once per pass of what is around them
                passes *= trips[loop][1]
                loop = own[loop][1]
            for key, count in counts.items():
                total[key] += passes * count
        costs[case] = total
    return costs


def seconds(cost, blocks, warps_of_block):
    """Of blocks that do the same, spread over all multiprocessors, and what they wait for."""
    warps, here = blocks * warps_of_block, ceil(blocks / SMS) * warps_of_block
    cycles = {"issue": ceil(here / SCHEDULERS) * cost["issued"], "tensor cores": here * WARP * cost["tensor"] / TENSOR_FLOP}
    cycles |= {unit: here * WARP * cost[unit] / lanes for unit, lanes in LANES.items()}
    times = {unit: count / CLOCK_HZ for unit, count in cycles.items()}
    times["bandwidth"] = warps * WARP * (cost["read"] + cost["written"]) / MEMORY_BYTES_PER_S
    bound = max(times, key=times.get)
    return times[bound], bound


def iterations(costs):
    """(what, [(part, thread's cost or None, seconds, bound)], steps or rows, the issue's floor in words)."""
    def part(name, case, blocks, warps_of_block=1, times=1):
        time, bound = seconds(costs[case], blocks, warps_of_block)
        return name, costs[case], times * time, bound

    def launches(count):
        return f"{count} launches of {LAUNCH_S * 1e6:.0f} us", None, count * LAUNCH_S, "latency"

    steps, tiles = 8192 * 128, 4 * 8192 * 128 // 128  # tiles of 4 epochs, of one tower

    def update(case, towers):  # 16 minibatches, two blocks on each multiprocessor
        return part("update", case, 2 * SMS, 8, ceil(towers * tiles / 16 / (2 * SMS)) * 16)

    wide = 1 << 17
    return [
        ("PPO iteration, 8192 x 128, two nets, fp32, 4 epochs of 4 minibatches",
         [part("rollout", "rollout fp32, two nets", 8192 // WARP, times=128),
          update("PPO tile", 2), launches(51)],
         steps, "100 M steps/s"),
        ("PPO iteration, 8192 x 128, shared torso, bf16, 4 epochs of 4 minibatches",
         [part("rollout", "rollout bf16, shared torso", 8192 // WARP, times=128),
          update("PPO tile, bf16", 1), launches(51)],
         steps, "300 M steps/s"),
        ("rollout, 2^17 environments, shared torso, bf16", [part("rollout", "rollout bf16, shared torso", wide // WARP)],
         wide, "2 G steps/s"),
        ("DQN iteration, 4096 environments, batch of 8192, fp32",
         [part("acts, as a kernel without the step", "DQN acts", 4096 // 128, 8),
          part("gradient", "DQN half tile", 8192 // 64, 8), launches(4)],
         1, "60 us"),
        ("prioritised draw and update, 1 M leaves in 4 levels",
         [("reads that depend on each other", None, 2 * 4 * READ_S, "latency"), launches(6)], 1, "40 us"),
    ]


def section(kernels, classify):
    """The Markdown section about whole iterations."""
    try:
        costs = case_costs(kernels, classify)
    except ValueError as error:
        return f"## Whole iterations\n\nNot computed: {error} (tools/loop_trips.tsv)."
    lines = ["| iteration | part | instructions | FLOP | B moved | at least | bound by |", "|---|---|---|---|---|---|---|"]
    for what, parts, work, floor in iterations(costs):
        total = sum(time for _, _, time, _ in parts)
        for name, cost, time, bound in parts:
            numbers = [cost["issued"], cost["flop"] + cost["tensor"], cost["read"] + cost["written"]] if cost else [""] * 3
            lines.append("| " + " | ".join(map(str, ["", name, *numbers, f"{time * 1e6:,.0f} us", bound])) + " |")
        rate = f", {work / total / 1e6:,.0f} M steps/s" if work > 1 else ""
        lines.append(f"| {what} | all; to reach: {floor} | | | | **{total * 1e6:,.0f} us{rate}** | |")
    return "\n".join([EXPLANATION, *lines])


EXPLANATION = f"""## Whole iterations

CartPole, hidden layers of 64 and 64. Instructions, FLOP and bytes are a thread's: of one environment step (rollouts), of one
tile of 128 rows by 256 threads (updates; of 64 for DQN). How often loops run is written down in `tools/loop_trips.tsv`; the rest is
counted in the PTX. Assumed: both sides of a branch inside a loop run (activations, bf16 layers of 128), which is too much;
every scheduler issues an instruction per cycle from its first warp on, without a wait, which is too little where a
multiprocessor has few warps; shared memory has no bank conflicts; a launch in a graph takes {LAUNCH_S * 1e6:.0f} us and a
read of device memory {READ_S * 1e6:.1f} us. Left out: GAE, moments, sums of partial gradients, the optimiser, the stepwise
environment step, each well below a millisecond or a launch. Times are the sum of parts one after the other.
"""
