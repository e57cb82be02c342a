# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Sourced by ./stampede test: builds and runs every suite, one line each, and ends with `N passed, M failed, K skipped`.

passed=0 failed=0 skipped=0

test_help() {
  cat <<'HELP'
usage: ./stampede test [--without-torch] [--asan-only] [--all-archs] [--filter REGEX]
  --without-torch   leave out the tests that compare with LibTorch (they count as skipped)
  --asan-only       only the unit tests, under AddressSanitizer and UndefinedBehaviorSanitizer
  --all-archs       also compile the CUDA path for sm_80 and sm_120 (some minutes; continuous integration has sm_90)
  --filter REGEX    only the tests whose name (Suite.Name) matches; no sanitizers, no example
HELP
}

report() {  # SUITE PASSED FAILED SKIPPED SECONDS [NOTE]
  ((passed += $2, failed += $3, skipped += $4))
  printf '%-10s %4d passed, %d failed, %d skipped  (%d s)%s\n' "$1" "$2" "$3" "$4" "$5" "${6:+  $6}"
}

# Names of the tests of a GoogleTest binary that match a regular expression, joined for --gtest_filter.
select_tests() {  # BINARY REGEX AMONG
  "$1" --gtest_list_tests "--gtest_filter=$3" | sed 's/ *#.*//' |
    awk '/^[^ ].*\.$/ { suite = $1; next } /^  / { print suite $1 }' | grep -E -- "$2" | paste -sd: -
}

run_gtest() {  # SUITE BINARY [EXCLUDED [AMONG]]
  local suite=$1 binary=$2 log=$build/test-$1.log started=$SECONDS names=${4:-*} status ok bad off note=
  if [[ -n $filter ]]; then
    names=$(select_tests "$binary" "$filter" "$names")
    [[ -n $names ]] || return 0
  fi
  { (cd "$build" && "$binary" --gtest_color=no "--gtest_filter=$names${3:+-$3}") >"$log" 2>&1 </dev/null; } 2>/dev/null
  status=$?
  ok=$(count_of PASSED "$log")
  off=$(count_of SKIPPED "$log")
  bad=$(count_of FAILED "$log")
  if ! grep -q '^\[==========\] .* ran\.' "$log"; then
    ((++bad))
    note="ended with status $status in $(sed -n 's/^\[ RUN      \] //p' "$log" | tail -n 1)"
  elif ((status != 0 && bad == 0)); then
    bad=1
    note="status $status"
  elif ((ok + bad + off == 0)); then
    bad=1
    note="ran no test"
  elif ((off > 0)); then
    note="skipped: $(grep -A1 ': Skipped$' "$log" | grep -vE ': Skipped$|^--' | sort | uniq -c | sort -rn | head -n 3 | sed 's/^ *[0-9]* //' | paste -sd';')"
  fi
  report "$suite" "$ok" "$bad" "$off" $((SECONDS - started)) "$note"
  ((bad == 0)) || { grep -vE '^(\[( RUN      |       OK |----------|==========|  PASSED  )\]|Note: |$)' "$log" | head -n 100; echo "whole log: $log"; }
}

# The number in GoogleTest's last line of a kind: `[  PASSED  ] 12 tests.`
count_of() {  # PASSED | FAILED | SKIPPED, LOG
  local number
  number=$(sed -n "s/^\\[ *$1 *\\] \\([0-9]*\\) test.*/\\1/p" "$2" | tail -n 1)
  echo "${number:-0}"
}

run_step_suite() {  # SUITE FUNCTION : one test, its output shown only when it fails
  local suite=$1 log=$build/test-$1.log started=$SECONDS status
  [[ -z $filter || $suite =~ $filter ]] || return 0
  (set -e; "$2") >"$log" 2>&1 </dev/null
  status=$?
  case $status in
    0) report "$suite" 1 0 0 $((SECONDS - started)) ;;
    77) report "$suite" 0 0 1 $((SECONDS - started)) "$(tail -n 1 "$log")" ;;
    *) report "$suite" 0 1 0 $((SECONDS - started)); tail -n 40 "$log"; echo "whole log: $log" ;;
  esac
}

run_house_checks() {
  local started=$SECONDS check log=$build/test-house.log status ok=0 bad=0 off=0 notes=
  for check in "$root"/tests/house/*.sh; do
    [[ $check != */lib.sh ]] || continue
    [[ -z $filter || "house.${check##*/}" =~ $filter ]] || continue
    CXX=${cxx:-g++} TORCH_DIR=$(torch_home) bash "$check" "$root" >"$log" 2>&1 </dev/null
    status=$?
    case $status in
      0) ((++ok)) ;;
      77) ((++off)); notes+="${notes:+; }$(tail -n 1 "$log")" ;;
      *) ((++bad)); echo "house.${check##*/}:"; tail -n 40 "$log" ;;
    esac
  done
  ((ok + bad + off == 0)) || report house $ok $bad $off $((SECONDS - started)) "$notes"
}

# The device code is in the program: nvcc compiled and linked it when the program was built.
check_cuda() {
  grep -qs '^STAMPEDE_CUDA:BOOL=ON' "$build/CMakeCache.txt" || { echo "no nvcc: the CUDA path was not compiled"; return 77; }
  readelf -SW "$build/stampede" | grep -F .nv_fatbin || { echo "no device code in $build/stampede"; return 1; }
}

# What needs a GPU, on a software device. Not what needs NVIDIA's other libraries.
run_soft_tests() {
  if grep -qs '^STAMPEDE_CUDA:BOOL=ON' "$build/CMakeCache.txt"; then
    run_gtest soft_gpu "$build/stampede_soft_tests" 'CublasParity.*:TorchParity.*' '*Parity.*:Soft*.*'
  elif [[ -z $filter ]]; then
    report soft_gpu 0 0 1 0 "no nvcc: the CUDA path was not compiled"
  fi
}

# Registers, local memory and double precision of every kernel, and that the cost model can read them all.
check_kernels() {
  grep -qs '^STAMPEDE_CUDA:BOOL=ON' "$build/CMakeCache.txt" || { echo "no nvcc: no kernels to look at"; return 77; }
  type -P python3 >/dev/null || { echo "no python3: budgets of kernels were not compared"; return 77; }
  python3 -B "$root/tests/ptxas/check_kernels.py" "$build/stampede" --self-test
  python3 -B "$root/tools/cost_model.py" "$build/stampede"
}

# The CUDA path for the oldest and the newest processors too; nothing of it runs.
check_architectures() {
  [[ $nvcc != none ]] || { echo "no nvcc: no architecture was compiled"; return 77; }
  cmake -G Ninja -S "$root" -B "$root/build/architectures" -DCMAKE_BUILD_TYPE=Release -DSTAMPEDE_CUDA=ON -DSTAMPEDE_TORCH=OFF \
    -DSTAMPEDE_BATCHES=ON "-DSTAMPEDE_CUDA_ARCHITECTURES=80;90;120" "-DNVCC=$nvcc" "-DCMAKE_CXX_COMPILER=${cxx:-g++}" \
    "-DCMAKE_CUDA_HOST_COMPILER=${cxx:-g++}"
  count_jobs
  ninja -C "$root/build/architectures" -j "$jobs" stampede
}

# An environment outside the tree, built against an installed stampede.
check_example() {
  local prefix=$build/test-install work=$build/test-example
  rm -rf "$prefix" "$work"
  cmake --install "$build" --prefix "$prefix"
  cmake -G Ninja -S "$root/examples/custom_env" -B "$work" "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_CXX_COMPILER=${cxx:-g++}"
  ninja -C "$work"
  (cd "$work" && ./custom_env trace PointMass-v0 --seed 1 --steps 3 &&
    ./custom_env train ppo PointMass-v0 total_steps=4000 num_envs=8 --out run --json)
}

check_benchmarks() {
  "$build/stampede_bench" --benchmark_list_tests=true | grep -c /
  if "$build/stampede_bench" --benchmark_filter=no/such/benchmark; then return 1; fi
  if "$build/stampede_bench" --benchmark_list_tests=true >/dev/full; then return 1; fi
}

# A build in a subshell, so that a failure is counted and the other suites still run.
build_suite() {  # SUITE, GOAL, FEATURES...
  local started=$SECONDS
  (ensure "${@:2}") && return
  local status=$?
  ((status != 130)) || exit 130
  report "$1" 0 1 0 $((SECONDS - started)) "does not build"
  return 1
}

run_asan() {
  select_preset asan
  if build_suite asan tests tests; then
    # Kernels without a barrier go astray: that is what RemovedBarriers is about.
    ASAN_OPTIONS=detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1 run_gtest asan "$build/stampede_tests" "RemovedBarriers.*"
  fi
  select_preset "$wanted"
}

count_oracles() { cat "$root"/tests/oracle/*.cpp 2>/dev/null | grep -cE '^TEST(_F|_P)?\('; }

run_native() {
  local features=(tests bench)
  if [[ -z $without_torch ]]; then
    "$root/tools/setup_torch.sh" || die "test: no LibTorch; ./stampede test --without-torch skips the $(count_oracles) tests that need it"
    features+=(torch)
  fi
  build_suite build tests "${features[@]}" || return
  find_compiler
  run_house_checks
  run_gtest tests "$build/stampede_tests"
  run_soft_tests
  if ! has_sources 'tests/oracle/*.cpp'; then
    :
  elif [[ -z $without_torch ]]; then
    run_gtest oracle "$build/stampede_oracle_tests"
  elif [[ -z $filter ]]; then
    report oracle 0 0 "$(count_oracles)" 0 "left out by --without-torch"
  fi
  has_sources 'bench/*.cpp' && run_step_suite bench check_benchmarks
  run_step_suite cuda check_cuda
  run_step_suite kernels check_kernels
  [[ -z $all_archs ]] || run_step_suite architectures check_architectures
  has_sources 'examples/custom_env/*.cpp' && run_step_suite example check_example
}

run_tests() {
  filter='' without_torch='' all_archs=''
  local only_asan=
  while (($#)); do
    case $1 in
      --without-torch) without_torch=1 ;;
      --asan-only) only_asan=1 ;;
      --all-archs) all_archs=1 ;;
      --filter) (($# > 1)) || usage_error "test: --filter needs a regular expression"; filter=$2; shift ;;
      --filter=*) filter=${1#*=} ;;
      -h | --help) test_help; exit ;;
      *) usage_error "test: unknown option $1 (known: --without-torch --asan-only --all-archs --filter)" ;;
    esac
    shift
  done
  source "$root/tools/build.sh"
  [[ -n $only_asan ]] || run_native
  [[ -n $filter && -z $only_asan ]] || run_asan
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0 && passed > 0))
}
