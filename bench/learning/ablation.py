#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains Rainbow and Rainbow without each of its parts, as Hessel et al. 2018, figure 3, and draws the curves.

usage: bench/learning/ablation.py [--program PROGRAM] [--runs FOLDER] [--out FILE] [--seeds N]

Every setting is the preset with one option switched off, on seeds 1 to N. The JSON holds each seed's evaluations, and
`stampede plot --bands FILE --env ENV` makes the pictures of it, one per environment, beside the JSON.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from run import ROOT, context, evaluations  # noqa: E402

STEPS = {"CartPole-v1": 100_000, "MountainCar-v0": 120_000}
EVALUATIONS = 20
SETTINGS = {
    "rainbow": [],
    "no_double": ["double=false"],
    "no_dueling": ["dueling=false"],
    "no_multi_step": ["n_step=1"],
    "no_priority": ["prioritized=false"],
    "no_noise": ["noisy=off", "exploration=epsilon"],
    "no_distribution": ["distribution=none"],
}


def train(program, folder, env, options, seeds, steps):
    words = [program, "train", "rainbow", env, "--seeds", str(seeds), "seed=1", f"total_steps={steps}",
             f"eval_every={steps // EVALUATIONS}", *options, "--out", str(folder), "--json", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    return result["runs"] if "runs" in result else [result]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/native/stampede"))
    parser.add_argument("--runs", default="runs/ablation", help="a folder that does not exist yet")
    parser.add_argument("--out", default=str(ROOT / "bench/results/ablation.json"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=0, help="instead of each environment's own number")
    arguments = parser.parse_args()
    result = {"context": context(arguments.program), "settings": []}
    for env, own_steps in STEPS.items():
        steps = arguments.steps or own_steps
        for name, options in SETTINGS.items():
            runs = train(arguments.program, pathlib.Path(arguments.runs) / env / name, env, options, arguments.seeds, steps)
            final = [run["eval_return_mean"] for run in runs]
            entry = {"env": env, "setting": name, "options": options, "total_steps": steps,
                     "final_mean": round(statistics.mean(final), 3), "final_worst": round(min(final), 3)}
            print(json.dumps(entry), file=sys.stderr)
            result["settings"].append(entry | {"seeds": [evaluations(run) for run in runs]})
            pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")
        picture = pathlib.Path(arguments.out).with_suffix("").as_posix() + f"_{env}.svg"
        subprocess.run([arguments.program, "plot", "--bands", arguments.out, "--env", env, "--out", picture], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
