#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the generated blocks of README.md and docs/results.md from the committed bench/results/*.json.

usage: tools/readme_tables.py [--check] [ROOT]      --check: change nothing, exit 1 when a block is not what it would be

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. Two kinds of JSON are read:
  Google Benchmark's ({"context": ..., "benchmarks": [...]}), one row per benchmark: median of the repetitions and spread;
  results of `train --json` ({"runs": [...]} or a list), one row per algorithm, environment and budget, over seeds.
bench/results/gpu*.json, which are bench.json and runs.json of tools/gpu_check.sh, fill the blocks about GPUs alone.
"""
import json
import math
import pathlib
import re
import statistics
import sys

NOT_MEASURED = "not yet measured"

# What README.md shows of the benchmarks; docs/results.md has all.
HEADLINES = {
    "env/CartPole-v1/4096": "CartPole, 4096 environments, steps and restarts written to the ring, 1 core",
    "env/CartPole-v1/4096/random_policy": "the same with a random policy",
    "train/ppo/CartPole-v1/1024": "PPO CartPole, 1024 x 128, 4 epochs x 4 minibatches, two nets 64-64, whole loop",
    "train/a2c/CartPole-v1/1024": "A2C CartPole, 1024 environments, two nets 64-64, whole loop",
    "train/pqn/CartPole-v1/1024": "PQN CartPole, 1024 environments, whole loop",
    "train/dqn/updates/64x64/64": "DQN gradient updates, batch 64, net 64-64, sampling included, 1 core",
    "train/dqn/updates/256x256/64": "the same, net 256-256",
    "train/rainbow/updates/64x64/64": "Rainbow gradient updates, batch 64, net 64-64",
    "train/sac/updates/64x64/100": "SAC gradient updates, batch 100, nets 64-64",
    "train/trpo/update/2048": "TRPO updates of 2048 samples, net 64-64",
    "replay/per/256": "prioritised replay: sample, gather, update priorities, batch 256 of 1M, 1 core",
    "replay/uniform/4096": "uniform replay: sample and gather, batch 4096, 1 core",
    "tabular/q_learning/FrozenLake-v1/1024": "tabular Q-learning updates, FrozenLake, 1024 seeds",
    "mlp/train/256x256/4096": "network 256-256: forward, backward and Adam, samples, 1 core",
    "startup/first_update": "process start to the end of the first PPO update",
    "solve/ppo/CartPole-v1": "CartPole solved by PPO, whole process, median of 10 seeds",
    "solve/dqn/CartPole-v1": "CartPole solved by DQN, whole process, median of 10 seeds",
}

PEER_HEADLINES = {
    "env/CartPole-v1/1024": "CartPole steps, 1024 environments",
    "train/ppo/CartPole-v1/64": "PPO CartPole, 64 environments, whole loop",
    "train/ppo/Pendulum-v1/rltools": "PPO Pendulum, 4 environments, RLtools' settings",
    "train/dqn/updates/256x256/64": "DQN updates, net 256-256, batch 64",
    "replay/per/256": "prioritised replay, batch 256 of 1M",
    "train/sac/64x64/100": "SAC, nets 64-64, batch 100",
    "train/sac/256x256/256": "SAC, nets 256-256, batch 256",
    "solve/CartPole-v1": "CartPole solved by PPO, whole process",
}

GPU_HEADLINES = {
    "cuda/env/CartPole-v1/1048576": "CartPole, 2^20 environments, steps and restarts written to the ring",
    "cuda/train/ppo/CartPole-v1/8192": "PPO CartPole, 8192 x 128, 4 epochs x 4 minibatches, two nets 64-64, fp32",
    "cuda/train/ppo/CartPole-v1/8192/shared_torso": "the same with a shared torso",
    "cuda/train/ppo/CartPole-v1/8192/shared_torso/bf16": "the same, bf16: rollouts and updates on tensor cores",
    "cuda/train/a2c/CartPole-v1/8192": "A2C CartPole, 8192 environments, two nets 64-64",
    "cuda/train/dqn/CartPole-v1/4096/8192": "DQN updates, each with a step of 4096 environments, batch 8192, net 64-64",
    "cuda/train/per_dqn/CartPole-v1/4096/4096": "DQN updates with prioritised replay of 1M, batch 4096",
    "cuda/train/sac/Pendulum-v1/1024/256": "SAC updates, each with a step of 1024 environments, batch 256, nets 64-64",
    "cuda/replay/per/4096": "prioritised replay: sample, gather, update priorities, batch 4096 of 1M",
    "cuda/facts/graph_node": "nodes of a CUDA graph, one after the other",
    "cuda/facts/grid_barrier": "barriers across the grid",
}


def read_results(folder, on_gpu):
    benchmarks, runs = [], []
    for path in sorted(folder.glob("**/*.json")):
        if path.name.startswith("gpu") != on_gpu:
            continue
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


def cores_of(name):
    found = re.search(r"/threads:(\d+)", name)
    return int(found[1]) if found else 1


def arithmetic_table(benchmarks):
    """What benchmarks that count their operations do per second, beside fused multiply-additions in registers."""
    rates = {short_name(name): statistics.median(row["GFLOPS"] for row in rows)
             for _, data in benchmarks for name, rows in group_repetitions(data["benchmarks"]).items() if "GFLOPS" in rows[0]}
    if not rates:
        return NOT_MEASURED
    peaks = {cores_of(name): rate for name, rate in rates.items() if name.startswith("cpu/fma")}
    lines = ["| benchmark | cores | GFLOP/s | of the peak |", "|---|---|---|---|"]
    for name, rate in rates.items():
        peak = peaks.get(cores_of(name))
        share = f"{100 * rate / peak:.0f} %" if peak else NOT_MEASURED
        lines.append(f"| {name} | {cores_of(name)} | {rate:.0f} | {share} |")
    return "\n".join(lines)


def solve_rows(runs):
    groups = {}
    for run in runs:
        if run.get("solved_at_step") is not None:
            groups.setdefault((run["algo"], run["env"]), []).append(run)
    return [f"| {env} solved by {algo}, training time, median of {len(group)} seeds | "
            f"{with_unit(statistics.median(run['seconds_train'] for run in group), 's')} |"
            for (algo, env), group in sorted(groups.items())]


def headline_table(benchmarks, headlines, more=()):
    measured = {}
    for _, data in benchmarks:
        for name, rows in group_repetitions(data["benchmarks"]).items():
            measured[short_name(name)] = rows
    lines = []
    for name, words in headlines.items():
        if name not in measured:
            continue
        seconds = [row["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[row["time_unit"]] for row in measured[name]]
        rates = [row["items_per_second"] for row in measured[name] if "items_per_second" in row]
        by_time = not rates or name.split("/")[0] in ("startup", "solve")
        lines.append(f"| {words} | {with_unit(statistics.median(seconds if by_time else rates), 's' if by_time else '/s')} |")
    lines += more
    return "\n".join(["| what | measured |", "|---|---|", *lines]) if lines else NOT_MEASURED


def learning_table(runs):
    groups = {}
    for run in runs:
        groups.setdefault((run["env"], run["algo"], run.get("total_steps", run.get("env_steps"))), []).append(run)
    if not groups:
        return NOT_MEASURED
    lines = ["| environment | algorithm | steps | seeds | return (mean of seeds) | worst seed | solved at step (median) |",
             "|---|---|---|---|---|---|---|"]
    for (env, algo, steps), group in sorted(groups.items(), key=lambda item: tuple(map(str, item[0]))):
        returns = [run["eval_return_mean"] for run in group if run.get("eval_return_mean") is not None]
        solved = [run["solved_at_step"] for run in group if run.get("solved_at_step") is not None]
        lines.append("| " + " | ".join([
            env, algo, f"{steps:,}" if isinstance(steps, int) else str(steps), str(len(group)),
            f"{statistics.mean(returns):.3g}" if returns else "", f"{min(returns):.3g}" if returns else "",
            f"{int(statistics.median(solved)):,} ({len(solved)}/{len(group)})" if solved else ""]) + " |")
    return "\n".join(lines)


def ablation_table(path):
    if not path.exists():
        return NOT_MEASURED
    settings = json.loads(path.read_text())["settings"]
    environments = list(dict.fromkeys(entry["env"] for entry in settings))
    cells = {(entry["setting"], entry["env"]): f"{entry['final_mean']:.4g} ({entry['final_worst']:.4g})" for entry in settings}
    lines = ["| | " + " | ".join(environments) + " |", "|---" * (1 + len(environments)) + "|"]
    for name in dict.fromkeys(entry["setting"] for entry in settings):
        lines.append(f"| {name} | " + " | ".join(cells.get((name, env), "") for env in environments) + " |")
    return "\n".join(lines)


def reference_table(path):
    if not path.exists():
        return NOT_MEASURED
    lines = ["| environment | algorithm | episodes | step size | reference | online return here | greedy policies: reference | here | agrees |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in json.loads(path.read_text())["learning"]:
        rate = re.search(r" learning_rate=(\S+)", row["command"])
        online, greedy = row["online_return"], row["greedy_return"]
        reference = f"{greedy['reference']:.4g}" if greedy["reference"] is not None else ""
        env = row["env"] + (" without its limit" if " env.max_episode_steps=0" in row["command"] else "")
        lines.append(f"| {env} | {row['algo']} | {row['episodes']:,} | {rate[1] if rate else ''} | {online['reference']:.4g} | "
                     f"{online['mean']:.4g} ± {online['standard_error']:.2g} | {reference} | {greedy['mean']:.4g} | "
                     f"{'yes' if row['agrees'] else 'no'} |")
    return "\n".join(lines)


def peer_comparisons(path):
    """(group, ours, [(peer, theirs, times faster)]) of bench/peers/run.py, ours and theirs with their units."""
    for group in json.loads(path.read_text())["groups"] if path.exists() else []:
        is_rate = group["unit"].endswith("/s")
        scale, unit = {"us": (1e-6, "s")}.get(group["unit"], (1.0, "/s" if is_rate else "s"))
        ours = group["stampede"].get("median")
        peers = [(peer["name"], with_unit(peer["median"] * scale, unit),
                  ours / peer["median"] if is_rate else peer["median"] / ours)
                 for peer in group["peers"] if ours and peer.get("median")]
        if peers:
            yield group, with_unit(ours * scale, unit), peers


def peers_table(path):
    lines = [f"| {group['name']} | {group['cores']} | {ours} | {name} | {theirs} | {times:.3g} |"
             for group, ours, peers in peer_comparisons(path) for name, theirs, times in peers]
    header = ["| what | cores | stampede | beside it | measured | times faster |", "|---|---|---|---|---|---|"]
    return "\n".join(header + lines) if lines else NOT_MEASURED


def peer_headlines(path):
    found = {group["name"]: (group, peers) for group, _, peers in peer_comparisons(path)}
    lines = [f"| {words} | {found[name][0]['cores']} | " +
             ", ".join(f"{times:.2g} x {peer}" if times < 100 else f"{times:.0f} x {peer}" for peer, _, times in found[name][1]) + " |"
             for name, words in PEER_HEADLINES.items() if name in found]
    return "\n".join(["| the same task | cores | speed of stampede |", "|---|---|---|", *lines]) if lines else NOT_MEASURED


def fill(path, text, name, body):
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.S)
    if not pattern.search(text):
        raise SystemExit(f"{path} has no block '{name}'")
    return pattern.sub(lambda match: f"{match[1]}{body}\n{match[2]}", text)


def main(arguments):
    check = "--check" in arguments
    rest = [argument for argument in arguments if argument != "--check"]
    root = pathlib.Path(rest[0]) if rest else pathlib.Path(__file__).resolve().parent.parent
    benchmarks, runs = read_results(root / "bench" / "results", on_gpu=False)
    gpu_benchmarks, gpu_runs = read_results(root / "bench" / "results", on_gpu=True)
    documents = {
        "README.md": {"headline": headline_table(benchmarks, HEADLINES),
                      "peers": peer_headlines(root / "bench" / "results" / "peers.json"),
                      "gpu": headline_table(gpu_benchmarks, GPU_HEADLINES, solve_rows(gpu_runs))},
        "docs/results.md": {"speed": speed_table(benchmarks), "arithmetic": arithmetic_table(benchmarks),
                            "learning": learning_table(runs),
                            "reference": reference_table(root / "bench" / "results" / "tabular.json"),
                            "ablation": ablation_table(root / "bench" / "results" / "ablation.json"),
                            "peers": peers_table(root / "bench" / "results" / "peers.json"),
                            "gpu": speed_table(gpu_benchmarks)},
    }
    differing = []
    for name, blocks in documents.items():
        before = after = (root / name).read_text()
        for block, body in blocks.items():
            after = fill(name, after, block, body)
        if before == after:
            continue
        differing.append(name)
        if not check:
            (root / name).write_text(after)
    if check and differing:
        print(f"measured tables in {', '.join(differing)} differ from bench/results: run tools/readme_tables.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
