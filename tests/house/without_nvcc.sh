#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Where there is no nvcc the launcher has g++ compile the environments, several as one: a warning there, which no other build
# shows, ends the first command of a new user.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
compiler=${CXX:-g++}
[[ $("$compiler" -dumpversion 2>/dev/null) == 12* ]] || { echo "checked with g++ 12 only"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
  cmake --preset native -B "$work" -DSTAMPEDE_CUDA=OFF -DSTAMPEDE_TORCH=OFF "-DCMAKE_CXX_COMPILER=$compiler" &&
    ninja -C "$work" -t targets all | sed -n 's/^\(.*batches\/environments_[0-9]*\.cu\.o\):.*/\1/p' >"$work/objects" &&
    [[ -s $work/objects ]] && xargs ninja -C "$work" <"$work/objects"
} >"$work/log" 2>&1 || verdict "environments that do not compile without nvcc" "$(grep -E 'error|warning' "$work/log" || tail -n 5 "$work/log")"
verdict "" ""
