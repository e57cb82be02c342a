#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks and measures stampede on a GPU machine without a network: parity, benchmarks, training, NVIDIA's tools.
# Runs from a bundle (tools/gpu_bundle.sh) or from a checkout, which it builds. No step's failure stops the next one.
set -uo pipefail

usage="usage: gpu_check.sh OUT
Writes to OUT: machine.txt parity.txt traces.txt bench.json train_ppo.json train_dqn.json tools.txt summary.json.
Ends within 9 minutes. Exit code 0 when no step failed; steps that this machine cannot run are 'unavailable'."
total_seconds=530
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
steps=""  # of summary.json
failures=0
gpu=""  # empty when a GPU can be used, else the reason

say() { echo "gpu_check: $*" >&2; }

json_text() {
  printf '%s' "$1" | tr '\n\t\r' '   ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g' | cut -c1-400
}

record() {  # NAME STATUS SECONDS DETAIL
  [[ $2 != failed && $2 != "timed out" ]] || failures=$((failures + 1))
  steps+="${steps:+,
}    {\"step\": \"$1\", \"status\": \"$2\", \"seconds\": $3, \"detail\": \"$(json_text "$4")\"}"
  say "$1: $2 ($3 s)${4:+ - $(json_text "$4")}"
}

# Runs a command within its limit and what is left of the whole; stdout and stderr go where the caller sends them.
limited() {  # SECONDS, COMMAND...
  local limit=$1 left=$((total_seconds - SECONDS))
  shift
  ((left >= 5)) || return 124
  timeout --kill-after=5 "$((limit < left ? limit : left))" "$@"
}

status_of() {  # EXIT CODE
  case $1 in 0) echo passed ;; 124 | 137) echo "timed out" ;; *) echo failed ;; esac
}

# One step: output to FILE; the detail is its last matching line.
run_step() {  # NAME SECONDS FILE PATTERN, COMMAND...
  local name=$1 limit=$2 file=$3 pattern=$4 begin=$SECONDS code
  shift 4
  limited "$limit" "$@" >>"$file" 2>&1
  code=$?
  record "$name" "$(status_of $code)" $((SECONDS - begin)) "$(grep -E "$pattern" "$file" | tail -n 1)"
  return $code
}

build_on_the_spot() {
  local root=$1 build=$1/build/gpu log tool
  PATH=$PATH:/usr/local/cuda/bin
  for tool in nvcc cmake ninja; do
    type -P $tool >/dev/null || { record build unavailable 0 "$tool was not found"; return 1; }
  done
  log=$(mktemp)
  cmake -S "$root" -B "$build" -G Ninja -DSTAMPEDE_CUDA=ON -DSTAMPEDE_TORCH=OFF >"$log" 2>&1
  run_step build 400 "$log" 'error|FAILED|Linking' cmake --build "$build" --target stampede stampede_tests stampede_bench
  rm -f "$log"
  [[ -x $build/stampede ]] && bin=$build
}

find_programs() {
  bin=""
  if [[ -x $here/bin/stampede ]]; then
    bin=$here/bin
    export STAMPEDE_SOURCE_DIR=$here STAMPEDE_PROGRAM=$bin/stampede
  elif [[ -f $here/../CMakeLists.txt ]]; then
    build_on_the_spot "$(cd "$here/.." && pwd)"
  fi
  [[ -n $bin ]]
}

machine_facts() {
  local file=$out/machine.txt command
  {
    date -u
    [[ ! -f $here/origin.txt ]] || cat "$here/origin.txt"
    for command in "uname -a" "lscpu" "free -m" "nvidia-smi" "nvidia-smi -q -d CLOCK,POWER,COMPUTE,ECC" \
      "ldd --version" "nvcc --version" "df -m ."; do
      echo "== $command"
      # shellcheck disable=SC2086
      limited 15 $command 2>&1 || echo "unavailable"
    done
  } >"$file"
  record machine passed "$SECONDS" "$(nvidia-smi -L 2>/dev/null | head -n 1)"
}

# Asks the program itself, so that a driver that is too old counts as well.
find_gpu() {
  local answer
  if answer=$(limited 60 "$bin/stampede" trace CartPole-v1 --steps 1 --device cuda 2>&1 >/dev/null); then
    record gpu passed 0 ""
  else
    gpu=${answer:-no GPU}
    record gpu unavailable 0 "$gpu"
  fi
}

parity_tests() {
  local tests=$bin/stampede_tests filter='*Parity*:*Cuda*:*Philox*:*Math*'
  [[ -x $tests ]] || { record parity unavailable 0 "stampede_tests is not here"; return; }
  # Golden data is found beside the bundle only by a program that looks there.
  ! grep -q STAMPEDE_SOURCE_DIR "$tests" || filter+=':*Golden*'
  run_step parity 150 "$out/parity.txt" '^\[  (PASSED|FAILED|SKIPPED)' "$tests" "--gtest_filter=$filter" --gtest_color=no
}

environment_ids() { "$bin/stampede" list 2>/dev/null | grep -oE '\b[A-Z][A-Za-z0-9]+-v[0-9]+\b' | sort -u; }

trace_hash() {  # ID DEVICE
  limited 30 "$bin/stampede" trace "$1" --seed 3 --steps 500 --device "$2" 2>/dev/null | sha256sum | cut -c1-16
  return "${PIPESTATUS[0]}"
}

# The same trajectory on both devices, for every environment.
compare_traces() {
  local begin=$SECONDS id cpu cuda count=0 different=0
  for id in $(environment_ids); do
    cpu=$(trace_hash "$id" cpu) || cpu="failed"
    cuda="unavailable"
    [[ -n $gpu ]] || cuda=$(trace_hash "$id" cuda) || cuda="failed"
    echo "$id cpu $cpu cuda $cuda" >>"$out/traces.txt"
    count=$((count + 1))
    if [[ $cpu == failed || ($cuda != unavailable && $cuda != "$cpu") ]]; then different=$((different + 1)); fi
  done
  local status=passed
  [[ -z $gpu ]] || status=unavailable
  ((different == 0 && count > 0)) || status=failed
  record traces "$status" $((SECONDS - begin)) "$different of $count environments differ or fail"
}

benchmarks() {
  local begin=$SECONDS code bench=$bin/stampede_bench filter="cuda"
  [[ -x $bench ]] || { record bench unavailable 0 "stampede_bench is not here"; return; }
  [[ -z $gpu ]] || { record bench unavailable 0 "$gpu"; return; }
  "$bench" --benchmark_list_tests 2>/dev/null | grep -q "$filter" || filter="env/|mlp/"
  limited 150 "$bench" "--benchmark_filter=$filter" --benchmark_min_time=0.2 --benchmark_format=json \
    >"$out/bench.json" 2>>"$out/tools.txt"
  code=$?
  record bench "$(status_of $code)" $((SECONDS - begin)) "$(grep -c items_per_second "$out/bench.json") rates, filter $filter"
}

train() {  # ALGORITHM
  local begin=$SECONDS code folder errors
  [[ -z $gpu ]] || { record "train_$1" unavailable 0 "$gpu"; return; }
  folder=$(mktemp -d)
  errors=$folder/stderr
  limited 80 "$bin/stampede" train "$1" CartPole-v1 seed=1 total_steps=100000 --device cuda --json --out "$folder/run" \
    >"$out/train_$1.json" 2>"$errors"
  code=$?
  local detail
  detail=$(tail -c 400 "$errors")
  ((code != 0)) || detail=$(cat "$out/train_$1.json")
  record "train_$1" "$(status_of $code)" $((SECONDS - begin)) "$detail"
  rm -rf "$folder"
}

nvidia_tool() {  # NAME
  PATH=$PATH:/usr/local/cuda/bin
  [[ -z $gpu ]] || { record "$1" unavailable 0 "$gpu"; return 1; }
  type -P "$1" >/dev/null || { record "$1" unavailable 0 "not installed"; return 1; }
}

sanitizer() {
  local begin=$SECONDS output
  nvidia_tool compute-sanitizer || return
  output=$(limited 90 compute-sanitizer --tool memcheck "$bin/stampede_tests" \
    '--gtest_filter=KernelParity.CountsAndScans:KernelParity.OptimizerSteps:EnvironmentParity.*' 2>&1)
  printf '== compute-sanitizer\n%s\n' "$output" | tail -n 200 >>"$out/tools.txt"
  local status=unavailable
  ! grep -q 'ERROR SUMMARY: 0 errors' <<<"$output" || status=passed
  ! grep -qE 'ERROR SUMMARY: [1-9]|Invalid __' <<<"$output" || status=failed
  record compute-sanitizer "$status" $((SECONDS - begin)) "$(grep -E 'ERROR SUMMARY|rror' <<<"$output" | tail -n 1)"
}

profiler() {
  local begin=$SECONDS output status=unavailable
  nvidia_tool ncu || return
  output=$(limited 60 ncu --launch-count 12 --metrics gpu__time_duration.sum "$bin/stampede_tests" \
    --gtest_filter=KernelParity.MatrixProducts 2>&1)
  printf '== ncu\n%s\n' "$output" | tail -n 200 >>"$out/tools.txt"
  ! grep -q 'gpu__time_duration' <<<"$output" || status=passed
  record ncu "$status" $((SECONDS - begin)) "$(grep -E 'ERR|==ERROR' <<<"$output" | tail -n 1)"
}

write_summary() {
  local usable=true
  [[ -z $gpu ]] || usable=false
  printf '{\n  "gpu_usable": %s,\n  "gpu_reason": "%s",\n  "failures": %d,\n  "seconds": %d,\n  "steps": [\n%s\n  ]\n}\n' \
    $usable "$(json_text "$gpu")" "$failures" "$SECONDS" "$steps" >"$out/summary.json"
}

main() {
  [[ $# == 1 && $1 != -* ]] || { echo "$usage" >&2; exit 2; }
  mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
  rm -f "$out"/{machine,parity,traces,tools}.txt "$out"/{bench,train_ppo,train_dqn,summary}.json
  trap write_summary EXIT
  machine_facts
  if ! find_programs; then
    gpu="no program to run: make a bundle with tools/gpu_bundle.sh"
    record programs failed 0 "$gpu"
    exit 1
  fi
  find_gpu
  parity_tests
  compare_traces
  benchmarks
  train ppo
  train dqn
  sanitizer
  profiler
  ((failures == 0))
}

main "$@"
