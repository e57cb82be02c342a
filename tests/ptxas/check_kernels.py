#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what ptxas gave every kernel of a program with kernel_budgets.tsv and kernel_exceptions.tsv.

usage: check_kernels.py PROGRAM [--write | --self-test]
  --write      writes the budgets of the program as it is: read the difference before committing it
  --self-test  also shows that each rule can fail
"""
import fnmatch
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parents[1] / "tools"))
import gpu_code  # noqa: E402
import ptx  # noqa: E402

BUDGETS, EXCEPTIONS = here / "kernel_budgets.tsv", here / "kernel_exceptions.tsv"
REMEDY = "python3 tests/ptxas/check_kernels.py PROGRAM --write"
ARCHITECTURE = 90  # of the budgets
REGISTER_STEP = 8  # registers are allocated to a warp in steps of 8 per thread


@dataclass(frozen=True)
class Usage:
    registers: int
    shared: int  # static, bytes
    stack: int = 0  # local memory, bytes per thread; spills are part of it
    fp64: bool = False


SKIPPED = 77


def version_of(program):
    return gpu_code.ptx_version(next(iter(gpu_code.ptx_modules(program)), ""))


def budgets_version():
    match = re.search(r"PTX (\S+)\.$", BUDGETS.read_text().splitlines()[0])
    return match[1] if match else ""


def measure(program):
    """{kernel: Usage}; kernels of one name, from different files, by their largest."""
    resources = {name: values for (name, architecture), values in gpu_code.kernel_resources(program).items()
                 if architecture == ARCHITECTURE}
    doubles = {}
    for text in gpu_code.ptx_modules(program):
        functions = ptx.parse(text)
        for f in functions.values():
            if f.is_kernel:
                doubles[f.name] = any(".f64" in ptx.opcode(line) for part in ptx.with_callees(f, functions)
                                      for line in part.instructions())
    names, found = gpu_code.readable_names(resources), {}
    for mangled, (registers, stack, shared) in resources.items():
        old = found.get(names[mangled], Usage(0, 0))
        found[names[mangled]] = Usage(max(registers, old.registers), max(shared, old.shared), max(stack, old.stack),
                                      doubles[mangled] or old.fp64)
    return found


def read_table(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [line.split("\t") for line in lines]


def read_budgets():
    return {kernel: Usage(int(registers), int(shared)) for kernel, registers, shared in read_table(BUDGETS)}


def read_exceptions():
    """(pattern, 'fp64' or the most stack bytes, reason)."""
    return [tuple(row) for row in read_table(EXCEPTIONS)]


def allowed(kernel, what, exceptions):
    """The largest value that a row on `what` grants, 0 where none does; 'fp64' grants 1."""
    granted = [row[1] for row in exceptions if fnmatch.fnmatchcase(kernel, row[0])]
    if what == "fp64":
        return int("fp64" in granted)
    return max([int(g.removeprefix("stack=")) for g in granted if g.startswith("stack=")], default=0)


def faults(found, budgets, exceptions):
    for kernel, usage in sorted(found.items()):
        budget = budgets.get(kernel)
        if budget is None:
            yield f"{kernel}: no row in {BUDGETS.name}; if its {usage.registers} registers are fine, run {REMEDY}"
            continue
        if usage.registers > budget.registers:
            yield f"{kernel}: {usage.registers} registers, budget {budget.registers}"
        if usage.shared > budget.shared:
            yield f"{kernel}: {usage.shared} bytes of static shared memory, budget {budget.shared}"
        if usage.stack > allowed(kernel, "stack", exceptions):
            yield (f"{kernel}: {usage.stack} bytes of local memory or spills, allowed "
                   f"{allowed(kernel, 'stack', exceptions)} ({EXCEPTIONS.name})")
        if usage.fp64 and not allowed(kernel, "fp64", exceptions):
            yield f"{kernel}: computes in double precision, which {EXCEPTIONS.name} does not allow"
    for kernel in sorted(set(budgets) - set(found)):
        yield f"{kernel}: a budget without a kernel; run {REMEDY}"
    for pattern, what, *_ in exceptions:
        if not any(fnmatch.fnmatchcase(k, pattern) and (u.fp64 if what == "fp64" else u.stack) for k, u in found.items()):
            yield f"{pattern}: an exception ({what}) that no kernel needs"


def write_budgets(found, version):
    rows = [f"{kernel}\t{-(-usage.registers // REGISTER_STEP) * REGISTER_STEP}\t{usage.shared}"
            for kernel, usage in sorted(found.items())]
    header = [f"# Written by {REMEDY}. For sm_{ARCHITECTURE} and PTX {version}.", "# kernel\tregisters at most\tstatic shared bytes at most"]
    BUDGETS.write_text("\n".join(header + rows) + "\n")


def self_test(found, budgets, exceptions):
    """Every rule is broken once; returns what was not noticed."""
    kernel, usage = next((k, u) for k, u in sorted(found.items()) if not u.stack and not u.fp64)
    broken = {
        "registers": ({**found, kernel: replace(usage, registers=256)}, budgets, exceptions),
        "shared": ({**found, kernel: replace(usage, shared=1 << 20)}, budgets, exceptions),
        "stack": ({**found, kernel: replace(usage, stack=8)}, budgets, exceptions),
        "fp64": ({**found, kernel: replace(usage, fp64=True)}, budgets, exceptions),
        "no row": (found, {k: b for k, b in budgets.items() if k != kernel}, exceptions),
        "no kernel": (found, {**budgets, "NoKernel": usage}, exceptions),
        "no need": (found, budgets, exceptions + [("NoKernel", "fp64", "")]),
    }
    return [rule for rule, tables in broken.items() if not any(True for _ in faults(*tables))]


def main(words):
    if not words or words[0].startswith("-"):
        sys.exit(__doc__)
    try:
        found = measure(words[0])
    except gpu_code.NoDeviceCode as error:
        sys.exit(str(error))
    if not found:
        print(f"the budgets are for sm_{ARCHITECTURE}, of which this program has no code: not compared")
        sys.exit(SKIPPED)
    if "--write" in words:
        write_budgets(found, version_of(words[0]))
    elif version_of(words[0]) != budgets_version():
        print(f"the budgets are for PTX {budgets_version()}, this program has {version_of(words[0])}: not compared")
        sys.exit(SKIPPED)
    budgets, exceptions = read_budgets(), read_exceptions()
    problems = list(faults(found, budgets, exceptions))
    if "--self-test" in words and not problems:
        problems = [f"self-test: a broken '{rule}' is not noticed" for rule in self_test(found, budgets, exceptions)]
    print(*problems, sep="\n")
    if problems:
        sys.exit(1)
    worst = max(u.registers for u in found.values())
    print(f"{len(found)} kernels, at most {worst} registers, {sum(bool(u.stack) for u in found.values())} with local memory, "
          f"{sum(u.fp64 for u in found.values())} with double precision")


main(sys.argv[1:])
