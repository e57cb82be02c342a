#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks and measures stampede on a GPU machine without a network: parity, benchmarks, training, NVIDIA's tools.
# Runs from a bundle (tools/gpu_bundle.sh) or from a checkout, which it builds. No step's failure stops the next one.
set -uo pipefail

usage="usage: gpu_check.sh [--part N] OUT
N = 1: parity, graphs, training    2: benchmarks, time to solve    3: compute-sanitizer, ncu    none: all, each shorter
Writes to OUT: machine.txt parity.txt traces.txt bench.json runs.json tools.txt summary.json.
Ends within 9 minutes. Exit code 0 when no step failed; steps that this machine cannot run are 'unavailable'."
total_seconds=530
part=0  # 0: all
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
steps=""  # of summary.json
failures=0
gpu=""  # empty when a GPU can be used, else the reason

say() { echo "gpu_check: $*" >&2; }

json_text() {
  printf '%s' "$1" | tr '\n\t\r' '   ' | tr -d '\000-\037' | cut -c1-400 | sed 's/\\/\\\\/g; s/"/\\"/g'
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
  [[ -x $build/stampede ]] && bin=$build
  [[ -z $bin ]] || build_torch "$root" "$log"
  rm -f "$log"
}

# LibTorch's networks, where Python's torch with CUDA is installed.
build_torch() {  # ROOT, LOG
  local torch
  torch=$(package_folder torch)
  [[ -e $torch/lib/libtorch_cuda.so ]] || { record build_torch unavailable 0 "no Python package torch with CUDA"; return; }
  cmake -S "$1" -B "$bin" -DSTAMPEDE_TORCH=ON "-DTORCH_DIR=$torch" >>"$2" 2>&1
  run_step build_torch 200 "$2" 'error|FAILED|Linking' cmake --build "$bin" --target stampede_torch_cuda
}

package_folder() {  # PYTHON PACKAGE
  python3 -c 'import importlib.util, sys
print(list(importlib.util.find_spec(sys.argv[1]).submodule_search_locations)[0])' "$1" 2>/dev/null
}

# A Python package's cuBLASLt is as good as the toolkit's.
find_cublas() {
  local folder
  folder=$(package_folder nvidia)/cu13/lib
  if ! ldconfig -p 2>/dev/null | grep -q 'libcublasLt\.so\.1[23]' && [[ -e $folder/libcublasLt.so.13 ]]; then
    export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  fi
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

share() {  # SECONDS OF A PART: fewer where one run does all parts
  ((part == 0)) && echo $(($1 / 2)) || echo "$1"
}

parity_tests() {
  local tests=$bin/stampede_tests filter='*Parity*:*Cuda*:*Philox*:*Math*:-GraphParity.*'
  [[ -x $tests ]] || { record parity unavailable 0 "stampede_tests is not here"; return; }
  # Golden data is found beside the bundle only by a program that looks there.
  ! grep -q STAMPEDE_SOURCE_DIR "$tests" || filter="*Golden*:$filter"
  run_step parity "$(share 200)" "$out/parity.txt" '^\[  (PASSED|FAILED|SKIPPED)' "$tests" "--gtest_filter=$filter" --gtest_color=no
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

# Every algorithm with and without CUDA graphs in one process; prints the nodes of its graph.
graph_tests() {
  local tests=$bin/stampede_tests
  [[ -x $tests ]] || { record graph_tests unavailable 0 "stampede_tests is not here"; return; }
  [[ -z $gpu ]] || { record graph_tests unavailable 0 "$gpu"; return; }
  run_step graph_tests "$(share 200)" "$out/parity.txt" '^\[  (PASSED|FAILED|SKIPPED)' "$tests" \
    '--gtest_filter=GraphParity.*' --gtest_color=no
}

# What a checkpoint keeps behind its header, which names the configuration.
state_hash() {  # FILE
  local header
  header=$(od -An -tu8 -N8 "$1" | tr -d ' ') && tail -c "+$((header + 9))" "$1" | sha256sum | cut -c1-16
}

# Whole runs with and without graphs end in the same bytes.
compare_graphs() {
  local begin=$SECONDS algorithm env graphs folder count=0 different=0
  [[ -z $gpu ]] || { record graphs unavailable 0 "$gpu"; return; }
  folder=$(mktemp -d)
  for algorithm in ppo a2c dqn per_dqn sac; do
    env=CartPole-v1
    [[ $algorithm != sac ]] || env=Pendulum-v1
    local -A hash=()
    for graphs in true false; do
      limited 40 "$bin/stampede" train $algorithm $env seed=1001 total_steps=4000 eval_episodes=10 --device cuda \
        cuda_graph=$graphs --quiet --out "$folder/$algorithm-$graphs" >/dev/null 2>>"$out/tools.txt"
      hash[$graphs]=$(state_hash "$folder/$algorithm-$graphs/checkpoint.safetensors" 2>/dev/null) || hash[$graphs]=failed
    done
    echo "$algorithm with graphs ${hash[true]} without ${hash[false]}" >>"$out/traces.txt"
    count=$((count + 1))
    [[ ${hash[true]} == "${hash[false]}" && ${hash[true]} != failed ]] || different=$((different + 1))
  done
  rm -rf "$folder"
  local status=passed
  ((different == 0)) || status=failed
  record graphs $status $((SECONDS - begin)) "$different of $count algorithms differ or fail with and without CUDA graphs"
}

origin() { sed -n 's/^commit: //p' "$here/origin.txt" 2>/dev/null | cut -c1-12; }

benchmarks() {
  local begin=$SECONDS code bench=$bin/stampede_bench name seconds rates
  [[ -x $bench ]] || { record bench unavailable 0 "stampede_bench is not here"; return; }
  [[ -z $gpu ]] || { record bench unavailable 0 "$gpu"; return; }
  name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
  seconds=$(share 300)
  limited "$seconds" "$bench" --benchmark_filter='^cuda/' --benchmark_min_time=0.2 --benchmark_out="$out/bench.json" \
    --benchmark_out_format=json --benchmark_context=gpu="${name:-unknown}",commit="$(origin)" >>"$out/tools.txt" 2>&1
  code=$?
  rates=$(grep -c items_per_second "$out/bench.json")
  ((code != 0 || rates > 0)) || code=1
  record bench "$(status_of $code)" $((SECONDS - begin)) "$rates rates"
}

run_lines=""  # of runs.json
line="" took=0

# One run; its result goes to $line and its wall time to $took (milliseconds).
timed_run() {  # SECONDS, ARGUMENTS OF stampede train...
  local limit=$1 folder start=${EPOCHREALTIME/[.,]/} code
  shift
  folder=$(mktemp -d)
  line=$(limited "$limit" "$bin/stampede" train "$@" --device cuda --quiet --json --out "$folder/run" 2>>"$out/tools.txt")
  code=$?
  took=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
  rm -rf "$folder"
  return $code
}

train() {  # ALGORITHM
  local begin=$SECONDS code
  [[ -z $gpu ]] || { record "train_$1" unavailable 0 "$gpu"; return; }
  timed_run 80 "$1" CartPole-v1 seed=1 total_steps=100000
  code=$?
  record "train_$1" "$(status_of $code)" $((SECONDS - begin)) "$took ms; $line"
}

start_up() {
  local begin=$SECONDS k best=""
  [[ -z $gpu ]] || { record start_up unavailable 0 "$gpu"; return; }
  for k in 1 2 3; do
    timed_run 30 ppo CartPole-v1 total_steps=1 eval_episodes=1 || { record start_up failed $((SECONDS - begin)) ""; return; }
    [[ -n $best ]] && ((best <= took)) || best=$took
  done
  record start_up passed $((SECONDS - begin)) "process start to the end of the first PPO update: $best ms, best of $k"
}

# Wall times of whole processes until CartPole's threshold holds for two evaluations.
time_to_solve() {  # ALGORITHM, PRESET
  local begin=$SECONDS seed times="" solved=0
  [[ -z $gpu ]] || { record "solve_$1" unavailable 0 "$gpu"; return; }
  for ((seed = 1; seed <= 20; ++seed)); do
    timed_run 20 "$1" CartPole-v1 preset="$2" seed=$seed --stop-at 475 || break
    line=${line/"\"algo\":\"$1\""/"\"algo\":\"$1 preset=$2\""}
    run_lines+="${run_lines:+,
}$line"
    [[ $line =~ \"solved_at_step\":[0-9] ]] || continue
    solved=$((solved + 1))
    times+="$took"$'\n'
  done
  printf '{"runs": [\n%s\n]}\n' "$run_lines" >"$out/runs.json"
  local median
  median=$(sort -n <<<"${times%$'\n'}" | sed -n "$(((solved + 1) / 2))p")
  record "solve_$1" "$( ((solved > 0)) && echo passed || echo failed)" $((SECONDS - begin)) \
    "$solved of 20 seeds, median process time ${median:-none} ms"
}

memory() {
  local begin=$SECONDS folder run used=0 now
  [[ -z $gpu ]] || { record memory unavailable 0 "$gpu"; return; }
  type -P nvidia-smi >/dev/null || { record memory unavailable 0 "nvidia-smi is not here"; return; }
  folder=$(mktemp -d)
  # It ends by its own limit: killing what waits for it would leave it running beside the next step.
  limited 12 "$bin/stampede" train ppo CartPole-v1 num_envs=8192 rollout_steps=128 total_steps=1000000000 --device cuda \
    --quiet --out "$folder/run" >/dev/null 2>&1 &
  run=$!
  for now in 1 2 3 4 5 6; do
    sleep 1
    now=$(nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null | head -n 1)
    [[ ! $now =~ ^[0-9]+$ ]] || ((now <= used)) || used=$now
  done
  wait "$run" 2>/dev/null
  rm -rf "$folder"
  record memory "$( ((used > 0)) && echo passed || echo unavailable)" $((SECONDS - begin)) \
    "$used MiB of the GPU in use while PPO trains 8192 x 128"
}

nvidia_tool() {  # PROGRAM, STEP
  PATH=$PATH:/usr/local/cuda/bin
  [[ -z $gpu ]] || { record "$2" unavailable 0 "$gpu"; return 1; }
  type -P "$1" >/dev/null || { record "$2" unavailable 0 "$1 is not installed"; return 1; }
}

sanitizer() {  # TOOL
  local begin=$SECONDS output status=unavailable
  nvidia_tool compute-sanitizer "$1" || return
  output=$(limited "$(share 120)" compute-sanitizer --tool "$1" "$bin/stampede_tests" \
    '--gtest_filter=KernelParity.CountsAndScans:KernelParity.OptimizerSteps:EnvironmentParity.*:RolloutParity.*:ValueRolloutParity.*:FusedParity.*' 2>&1)
  printf '== compute-sanitizer %s\n%s\n' "$1" "$output" | tail -n 100 >>"$out/tools.txt"
  ! grep -q 'ERROR SUMMARY: 0 errors' <<<"$output" || status=passed
  ! grep -qE 'RACECHECK SUMMARY: 0 hazards' <<<"$output" || status=passed
  ! grep -qE 'ERROR SUMMARY: [1-9]|SUMMARY: [1-9][0-9]* hazard|Invalid __' <<<"$output" || status=failed
  record "$1" "$status" $((SECONDS - begin)) "$(grep -E 'SUMMARY|rror' <<<"$output" | tail -n 1)"
}

# The fused kernels while PPO and DQN train; where a build has none, whichever kernels come.
profiler() {
  local begin=$SECONDS output status=unavailable algorithm folder
  nvidia_tool ncu ncu || return
  folder=$(mktemp -d)
  for algorithm in ppo dqn; do
    output=$(limited "$(share 60)" ncu --kernel-name-base demangled --kernel-name 'regex:RolloutKernel|PolicyGradientKernel|DqnGradientKernel|DqnActKernel' \
      --launch-count 6 --set full "$bin/stampede" train $algorithm CartPole-v1 num_envs=4096 total_steps=600000 \
      cuda_graph=false eval_episodes=1 --device cuda --quiet --out "$folder/$algorithm" 2>&1)
    printf '== ncu %s\n%s\n' "$algorithm" "$output" | tail -n 400 >>"$out/tools.txt"
    ! grep -q 'Duration' <<<"$output" || status=passed
  done
  rm -rf "$folder"
  record ncu "$status" $((SECONDS - begin)) "$(grep -E 'ERR|==ERROR' <<<"$output" | tail -n 1)"
}

write_summary() {
  local usable=true
  [[ -z $gpu ]] || usable=false
  printf '{\n  "gpu_usable": %s,\n  "gpu_reason": "%s",\n  "failures": %d,\n  "seconds": %d,\n  "steps": [\n%s\n  ]\n}\n' \
    $usable "$(json_text "$gpu")" "$failures" "$SECONDS" "$steps" >"$out/summary.json"
}

in_part() { ((part == 0 || part == $1)); }

main() {
  if [[ ${1:-} == --part ]]; then
    [[ ${2:-} == [123] ]] || { echo "$usage" >&2; exit 2; }
    part=$2
    shift 2
  fi
  [[ $# == 1 && $1 != -* ]] || { echo "$usage" >&2; exit 2; }
  mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
  rm -f "$out"/{machine,parity,traces,tools}.txt "$out"/{bench,runs,summary}.json
  trap write_summary EXIT
  machine_facts
  if ! find_programs; then
    gpu="no program to run: make a bundle with tools/gpu_bundle.sh"
    record programs failed 0 "$gpu"
    exit 1
  fi
  find_gpu
  find_cublas
  if in_part 1; then
    parity_tests
    graph_tests
    compare_traces
    compare_graphs
    train ppo
    train dqn
  fi
  if in_part 2; then
    benchmarks
    start_up
    memory
    time_to_solve ppo 1024
    time_to_solve dqn 4096
  fi
  if in_part 3; then
    for tool in memcheck racecheck initcheck synccheck; do sanitizer $tool; done
    profiler
  fi
  ((failures == 0))
}

main "$@"
