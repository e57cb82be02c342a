#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes OUTDIR: a folder that runs on any x86-64 Linux machine with an NVIDIA driver, without a network or a compiler.
set -euo pipefail

usage="usage: tools/gpu_bundle.sh OUTDIR
Builds for sm_90 and newer (compute_90 PTX) with a static CUDA runtime, and gathers programs, libraries and golden data.
On the GPU machine: OUTDIR/gpu_check.sh RESULTS"
max_megabytes=60
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/bundle

say() { echo "gpu_bundle: $*" >&2; }
die() { say "$*"; exit 1; }

configure_and_build() {
  local origin="-Wl,-rpath,'\$ORIGIN',--disable-new-dtags"  # DT_RPATH also serves the libraries' own needs
  # The static libstdc++ brings std::random_device along, which nothing calls; its arc4random is of glibc 2.36.
  origin+=" -Wl,--defsym=arc4random=0"
  cmake -S "$root" -B "$build" -G Ninja -DSTAMPEDE_CUDA=ON -DSTAMPEDE_PORTABLE=ON -DSTAMPEDE_TORCH=OFF \
    -DSTAMPEDE_CUDA_ARCHITECTURES=90 -DCMAKE_SKIP_RPATH=ON \
    "-DCMAKE_EXE_LINKER_FLAGS=-static-libstdc++ -static-libgcc $origin" >"$build.log" 2>&1 || show_log
  # The test and benchmark programs are left out where their libraries are missing.
  cmake --build "$build" --target stampede >>"$build.log" 2>&1 || show_log
  local target
  for target in stampede_tests stampede_bench; do
    ninja -C "$build" -t query "$target" >/dev/null 2>&1 || { say "$target is not built here"; continue; }
    cmake --build "$build" --target "$target" >>"$build.log" 2>&1 || show_log
  done
}

show_log() {
  tail -n 40 "$build.log" >&2
  die "the build failed (whole log: $build.log)"
}

# Every shared library but the C library's own, which belongs to the machine.
copy_libraries() {
  local program name path
  for program in "$1"/bin/*; do
    ldd "$program" | while read -r name _ path _; do
      case $name in
        linux-vdso* | /lib* | libc.so* | libm.so* | libdl.so* | librt.so* | libpthread.so*) ;;
        *) [[ $path == /* ]] && cp -L -n "$path" "$1/bin/" ;;
      esac
    done
  done
}

write_origin() {
  {
    echo "commit: $(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)"
    [[ -z $(git -C "$root" status --porcelain 2>/dev/null) ]] || echo "the working tree had changes"
    echo "compiler: $(c++ --version | head -n 1)"
    echo "cuda: $(nvcc --version | tail -n 1)"
    echo "needs: $(objdump -T "$1"/bin/* | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)"
  } >"$1/origin.txt"
}

main() {
  [[ $# == 1 && $1 != -* ]] || { echo "$usage" >&2; exit 2; }
  local out=$1 program megabytes
  [[ ! -e $out || -z $(ls -A "$out") ]] || die "$out exists and is not empty"
  PATH=$PATH:/usr/local/cuda/bin
  type -P nvcc >/dev/null || die "nvcc was not found"
  mkdir -p "$root/build"
  say "building in $build"
  configure_and_build
  mkdir -p "$out/bin" "$out/tests"
  for program in stampede stampede_tests stampede_bench; do
    [[ ! -x $build/$program ]] || strip -o "$out/bin/$program" "$build/$program"
  done
  copy_libraries "$out"
  cp -r "$root/tests/golden" "$out/tests/golden"
  cp "$root/tools/gpu_check.sh" "$out/"
  write_origin "$out"
  megabytes=$(du -sm "$out" | cut -f1)
  ((megabytes <= max_megabytes)) || die "$out has $megabytes MB, more than $max_megabytes"
  "$out/bin/stampede" --help >/dev/null || die "the bundled program does not start"
  say "$out: $megabytes MB"
}

main "$@"
