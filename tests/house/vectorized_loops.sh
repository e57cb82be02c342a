#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The loops over rows that CPU speed rests on are vectorised by the compiler: a branch, an index or a condition of the wrong
# kind turns them into loops of single rows without any other sign.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
compiler=${CXX:-g++}
[[ -r sim/registry.def && $("$compiler" -dumpversion 2>/dev/null) == 12* ]] || { echo "checked with g++ 12 only"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

loop() {  # NAME, FILE WHOSE LOOP, SOURCE, HOW MANY LOOPS
  printf '%s' "$2" >"$work/$1.where"
  printf '%s' "${4:-1}" >"$work/$1.count"
  printf '%b' "$3" >"$work/$1.cpp"
}

compile() {  # SOURCE: prints its name unless the loop was vectorised
  local flags=(-std=c++20 -O3 -DNDEBUG -march=x86-64-v3 -fno-trapping-math -fno-math-errno -ffp-contract=off -fopenmp)
  "$compiler" "${flags[@]}" -I. -fopt-info-vec-optimized -c "$1" -o "${1%.cpp}.o" 2>"${1%.cpp}.log" &&
    (($(grep 'loop vectorized using 32 byte' "${1%.cpp}.log" | grep -cF "$(<"${1%.cpp}.where")") >= $(<"${1%.cpp}.count"))) && return
  basename "$1" .cpp
}

while read -r header type; do
  [[ $header != '#'* ]] || continue
  loop "step_$type" sim/batched_env.h "#include \"sim/batched_env.h\"\n#include \"sim/envs/$header.h\"\nnamespace stampede {\nvoid run(int begin, int end, const StepOp<$type>& op) { op(begin, end); }\n}\n"
done <sim/registry.def

rows='namespace stampede {\ntemplate <class Op>\nvoid run(int begin, int end, const Op& op) { run_index_range(begin, end, op); }\ntemplate void run(int, int, const'
while read -r header loss actions; do
  loop "${loss}_$actions" kernels/launch.h "#include \"agents/losses/$header.h\"\n#include \"agents/policy_tile.h\"\n$rows CategoricalLossOp<$loss, $actions>&);\n}\n"
done <<'LOSSES'
ppo_loss PpoLossConfig 2
ppo_loss PpoLossConfig 4
ppo_penalty_loss PpoPenaltyLoss 2
policy_gradient_loss PolicyGradientLoss 2
policy_gradient_loss PolicyGradientLoss 3
LOSSES
while read -r header loss; do
  loop "gaussian_$loss" kernels/launch.h "#include \"agents/losses/$header.h\"\n#include \"agents/policy_tile.h\"\n$rows GaussianLossOp<$loss, 1>&);\n}\n"
done <<'LOSSES'
ppo_loss PpoLossConfig
ppo_penalty_loss PpoPenaltyLoss
policy_gradient_loss PolicyGradientLoss
LOSSES
loop choose_gaussian agents/choose_gaussian.h "#include \"agents/choose_gaussian.h\"\nnamespace stampede {\nvoid run(int begin, int end, const ChooseGaussianScalarOp<true>& op) { op(begin, end); }\n}\n" 2
loop choose_categorical kernels/launch.h "#include \"agents/choose_categorical.h\"\n#include \"kernels/launch.h\"\n$rows ChooseCategoricalOp<2, true>&);\n}\n"
loop sample_squashed kernels/launch.h "#include \"agents/sample_squashed.h\"\n#include \"kernels/launch.h\"\n$rows SamplePolicyOp<1>&);\n}\n"
# For each of three numbers of actions: random numbers, two behaviour policies, updates to four targets.
loop td_tables agents/linear/td_tables_cpu.cpp '#include "agents/linear/td_tables_cpu.cpp"\n' 14
loop fault kernels/launch.h "#include \"kernels/launch.h\"\n${rows%template void*}struct Fault { float* x; HD void operator()(int i) const { x[i] = x[i - 1]; if (x[i] > 1) __builtin_abort(); } };\ntemplate void run(int, int, const Fault&);\n}\n"

export -f compile
export work compiler
failed=$(printf '%s\n' "$work"/*.cpp | xargs -P "$(nproc)" -I{} bash -c 'compile {}' | sort)
[[ $failed == *fault* ]] || verdict "a loop that cannot be vectorised goes unnoticed" fault
verdict "loops that are not vectorised" "$(grep -vx fault <<<"$failed")"
