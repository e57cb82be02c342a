# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2086
# Sourced by ./stampede: installs the packages a build needs, configures with CMake, builds with Ninja.
# Everything here runs under a lock on the build folder (its children hold it too, so a build that outlives its caller is
# waited for); nothing here changes the working directory of the caller.

interrupted=

missing_write_access() {
  die "cannot write to $root/build (read-only checkout?): copy the checkout to a folder of yours and run it there"
}

lock_build_folder() {
  { mkdir -p "$state" && : >>"$root/build/$preset.lock"; } 2>/dev/null || missing_write_access
  [[ -w $state ]] || missing_write_access
  exec {lock_fd}>>"$root/build/$preset.lock"
  flock -n "$lock_fd" && return
  say "waiting for another build of build/$preset to end"
  flock "$lock_fd"
  mkdir -p "$state"
}

# Runs a step with its output in a log; on failure shows the log's end, names it and leaves.
run_step() {  # LOG NAME, COMMAND...
  local log=$state/$1.log status
  shift
  "$@" >"$log" 2>&1
  status=$?
  [[ -z $interrupted ]] || { say "interrupted; run the same command again to go on"; exit 130; }
  ((status == 0)) && return
  if grep -q '^FAILED: ' "$log"; then sed -n '/^FAILED: /,$p' "$log" | head -n 60 >&2; else tail -n 40 "$log" >&2; fi
  die "failed: $* (whole log: $log)"
}

can_install() {
  type -P apt-get >/dev/null || return 1
  ((EUID == 0)) || sudo -n true 2>/dev/null
}

install_packages() {
  local as_root=(env DEBIAN_FRONTEND=noninteractive) apt=(apt-get -o DPkg::Lock::Timeout=300 -q)
  if ! can_install; then
    say "missing: $*. Run this once, then the same command again:"
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*" >&2
    exit 1
  fi
  ((EUID == 0)) || as_root=(sudo -n "${as_root[@]}")
  say "installing $* (apt-get)"
  [[ -d $state ]] || lock_build_folder
  # Package lists may be absent or old; refresh them only when the first try fails.
  "${as_root[@]}" "${apt[@]}" install -y --no-install-recommends "$@" >"$state/apt.log" 2>&1 </dev/null && return
  [[ -n $interrupted ]] || run_step apt-update "${as_root[@]}" "${apt[@]}" update </dev/null
  run_step apt "${as_root[@]}" "${apt[@]}" install -y --no-install-recommends "$@" </dev/null
}

# Sets $cxx to a C++20 compiler: CXX, or a g++ of at least version 12; empty when there is none.
find_compiler() {
  cxx=${CXX:-}
  [[ -z $cxx ]] || return 0
  local candidate version
  for candidate in g++ g++-15 g++-14 g++-13 g++-12; do
    version=$("$candidate" -dumpversion 2>/dev/null) || continue
    if ((${version%%.*} >= 12)); then cxx=$(type -P "$candidate"); return; fi
  done
}

has_header() {
  [[ -n $cxx ]] && printf '#include <%s>\n' "$1" | "$cxx" -std=c++20 -x c++ -E -o /dev/null - >/dev/null 2>&1
}

list_missing() {  # FEATURES...
  find_compiler
  missing=()
  [[ -n $cxx ]] || missing+=(g++)
  type -P cmake >/dev/null || missing+=(cmake)
  type -P ninja >/dev/null || missing+=(ninja-build)
  has_header toml++/toml.h || missing+=(libtomlplusplus-dev)
  has_header nlohmann/json.hpp || missing+=(nlohmann-json3-dev)
  if [[ " $* " == *" tests "* ]]; then
    has_header gtest/gtest.h || missing+=(libgtest-dev)
    type -P gnuplot >/dev/null || missing+=(gnuplot-nox)
  fi
  if [[ " $* " == *" bench "* ]]; then has_header benchmark/benchmark.h || missing+=(libbenchmark-dev); fi
}

require_packages() {
  list_missing "$@"
  ((${#missing[@]})) || return 0
  install_packages "${missing[@]}"
  list_missing "$@"
  ((${#missing[@]} == 0)) || die "still missing after the installation: ${missing[*]} (g++ must be version 12 or newer; set CXX to choose one)"
}

# Sets $cuda to ON or OFF and $cuda_note to the reason.
choose_cuda() {
  cuda=OFF
  cuda_note="CPU only: no nvcc found"
  [[ $preset != asan ]] || { cuda_note="CPU only, with sanitizers"; return; }
  [[ ${STAMPEDE_CUDA:-ON} != OFF ]] || { cuda_note="CPU only: STAMPEDE_CUDA=OFF"; return; }
  [[ $nvcc != none ]] || return
  local version
  version=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\.\([0-9]*\).*/\1.\2/p')
  version=${version:-0}
  ((${version%%.*} >= 12)) || { cuda_note="CPU only: $nvcc is CUDA $version, 12 or newer is needed"; return; }
  choose_architectures
  [[ $architectures ]] || { cuda_note="CPU only: this machine's GPU is older than compute capability 8.0"; return; }
  cuda=ON
  cuda_note="CPU and CUDA $version for compute capability $(sed 's/\([0-9]\)\(;\|$\)/.\1\2/g; s/;/, /g' <<<"$architectures")"
}

# Sets $architectures to what the GPUs here need, such as "86;90": to 90 where there is none, to nothing where all are too
# old. A GPU that is newer than nvcc gets code of the newest processor before it that nvcc knows, which its driver translates.
choose_architectures() {
  local capability known best candidate
  architectures=90
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -n 's/^ *\([0-9]*\)\.\([0-9]\) *$/\1\2/p' | sort -nu)
  [[ $capability ]] || return 0
  known=$("$nvcc" --list-gpu-arch 2>/dev/null | sed -n 's/^compute_\([0-9]*\)$/\1/p')
  architectures=
  for capability in $capability; do
    best=
    for candidate in ${known:-90}; do
      ((candidate >= 80 && candidate <= capability && candidate > ${best:-0})) && best=$candidate
    done
    [[ -z $best || ";$architectures;" == *";$best;"* ]] || architectures+=${architectures:+;}$best
  done
}

torch_home() { printf '%s/stampede/libtorch-2.11.0/torch' "${XDG_CACHE_HOME:-${HOME:-$root/build}/.cache}"; }

configure() {  # FEATURES...
  local options=(-DSTAMPEDE_TORCH=OFF)
  [[ " $* " != *" torch "* ]] || options=(-DSTAMPEDE_TORCH=ON "-DTORCH_DIR=$(torch_home)")
  choose_cuda
  options+=("-DSTAMPEDE_CUDA=$cuda" "-DCMAKE_CXX_COMPILER=$cxx")
  [[ $cuda == OFF ]] || options+=("-DNVCC=$nvcc" "-DCMAKE_CUDA_HOST_COMPILER=$cxx" "-DSTAMPEDE_CUDA_ARCHITECTURES=$architectures")
  say "configuring build/$preset ($cuda_note)"
  # A configuration that was interrupted, or made with another compiler, leaves a cache that cannot be trusted.
  if [[ ! -e $state/config ]] || ! grep -qsx "CMAKE_CXX_COMPILER:[A-Z]*=$cxx" "$build/CMakeCache.txt"; then
    rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
  fi
  rm -f "$state/config"
  run_step configure cmake -S "$root" --preset "$preset" "${options[@]}"
  printf '%s\n' "$root" "$cpu" "$nvcc" "$*" >"$state/config.new"
  mv "$state/config.new" "$state/config"
}

# A folder made for another place, processor or compiler is of no use: start afresh.
discard_foreign_folder() {
  local home at_cpu=$cpu
  home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$build/CMakeCache.txt" 2>/dev/null)
  [[ -n $home ]] || return 0
  [[ ! -r $state/config ]] || at_cpu=$(sed -n 2p "$state/config")
  if [[ $home == "$root" && $at_cpu == "$cpu" ]]; then return; fi
  say "build/$preset was made for another folder or processor: building again"
  rm -rf "$build"
  mkdir -p "$state"
}

# One compiler per core, and not more than one per GiB of free memory.
count_jobs() {
  local cores available
  cores=$(nproc)
  available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null)
  jobs=$((${available:-999999999} / 1048576))
  ((jobs < cores)) || jobs=$cores
  ((jobs > 0)) || jobs=1
}

compile() {  # TARGETS...
  count_jobs
  local ninja=(ninja -C "$build" -j "$jobs" "$@")
  # A native object is only as portable as the processor it was compiled for: keep the two apart in the compiler cache.
  printf '%s\n' "$cpu" >"$state/cpu"
  export CCACHE_EXTRAFILES=$state/cpu CCACHE_BASEDIR=$root NINJA_STATUS='[%f/%t] '
  # What uses a precompiled header is cached only so.
  export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:+$CCACHE_SLOPPINESS,}pch_defines,time_macros
  if [[ ! -t 2 ]]; then run_step build "${ninja[@]}"; return; fi
  exec {terminal}>&2
  run_step build show_progress "${ninja[@]}"
  exec {terminal}>&-
}

show_progress() {
  "$@" 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line"
    [[ ! $line =~ ^\[([0-9]+/[0-9]+)\] ]] || printf '\rstampede: %s ' "${BASH_REMATCH[1]}" >&"$terminal"
  done
  local status=${PIPESTATUS[0]}
  printf '\r\033[K' >&"$terminal"
  return "$status"
}

# Sets $features to what is configured already and what is asked for, sorted; LibTorch only while it is there.
merge_features() {
  local feature
  features=
  for feature in bench tests torch torch_cuda; do
    [[ " $configured $* " == *" $feature "* ]] || continue
    [[ $feature != torch || -e $(torch_home)/lib/libtorch_cpu.so ]] || continue
    [[ $feature != torch_cuda || ($nvcc != none && -e $(torch_home)/lib/libtorch_cuda.so) ]] || continue
    features+=${features:+ }$feature
  done
}

has_sources() { compgen -G "$root/$1" >/dev/null; }

choose_targets() {
  targets=(stampede)
  if [[ " $features " == *" torch "* ]] && has_sources 'agents/networks/torch_*.cpp'; then targets+=(stampede_torch); fi
  [[ " $features " != *" torch_cuda "* ]] || targets+=(stampede_torch_cuda)
  if [[ $goal == bench || " $* " == *" bench "* ]] && has_sources 'bench/*.cpp'; then targets+=(stampede_bench); fi
  [[ $goal == tests ]] || return 0
  targets+=(stampede_tests)
  if grep -qs '^STAMPEDE_CUDA:BOOL=ON' "$build/CMakeCache.txt"; then targets+=(stampede_soft stampede_soft_tests); fi
  if [[ " $features " == *" torch "* ]] && has_sources 'tests/oracle/*.cpp'; then targets+=(stampede_oracle_tests); fi
}

build_goal() {  # GOAL, FEATURES...
  local goal=$1 started=$SECONDS targets features
  shift
  trap 'interrupted=1' INT
  lock_build_folder
  if ! { is_configured "$@" && is_current "$goal"; }; then
    discard_foreign_folder
    is_configured "$@" || true
    merge_features "$@"
    require_packages $features
    if [[ ! -e $build/build.ninja ]] || ! is_configured $features || [[ $configured != "$features" ]]; then configure $features; fi
    choose_targets "$@"
    say "building ${targets[*]} (build/$preset)"
    touch "$state/started"
    compile "${targets[@]}"
    cp -p "$state/started" "$state/built-program"
    mv "$state/started" "$state/built-$goal"
    say "built in $((SECONDS - started)) s"
  fi
  exec {lock_fd}>&-
  trap - INT
}
