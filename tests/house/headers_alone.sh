#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone, and twice, without a warning.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
flags=(-std=c++20 -x c++ -fsyntax-only -fopenmp -Wall -Wextra -Wshadow -Werror -I. -DSTAMPEDE_SOURCE_DIR='""' -DSTAMPEDE_PROGRAM='""'
  -DSTAMPEDE_BINARY_DIR='""')
skip='^examples/|^bench/peers/'
if [[ -d ${TORCH_DIR:-}/include ]]; then
  flags+=(-isystem "$TORCH_DIR/include" -isystem "$TORCH_DIR/include/torch/csrc/api/include")
else
  skip+='|^agents/networks/torch_|^tests/oracle/'
fi
cuda=$(dirname "$(type -P nvcc || echo /usr/local/cuda/bin/nvcc)")/../include
if [[ -e $cuda/cuda_runtime_api.h ]]; then
  flags+=(-isystem "$cuda")
else
  skip+='|^tests/soft_gpu/runtime/'
fi
export CXX=${CXX:-g++}
check_header() {  # HEADER, FLAGS...
  printf '#include "%s"\n#include "%s"\n' "$1" "$1" | "$CXX" "${@:2}" - 2>&1 || echo "$1 does not compile alone"
}
export -f check_header
verdict "headers that need another one before them" \
  "$(list_files '*.h' | grep -vE "$skip" | xargs -r -P "$(nproc)" -I{} bash -c 'check_header "$@"' _ {} "${flags[@]}")"
