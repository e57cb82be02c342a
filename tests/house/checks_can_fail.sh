#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every check beside this one passes on a small good tree and fails on that tree with one fault.
set -u
house=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
bad=0
licence='// SPDX-License-Identifier: Apache-2.0'

make_good_tree() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree"/{kernels,sim,agents/networks,docs}
  cp "$house/../../.clang-format" "$tree"
  printf '<!-- begin %s -->\nnot yet measured\n<!-- end %s -->\n' headline headline peers peers gpu gpu >"$tree/README.md"
  printf '<!-- begin %s -->\nnot yet measured\n<!-- end %s -->\n' speed speed arithmetic arithmetic learning learning reference reference ablation ablation peers peers gpu gpu \
    >"$tree/docs/results.md"
  printf '# SPDX-License-Identifier: Apache-2.0\n' >"$tree/stampede"
  printf '%s\n#pragma once\nstruct View {};\n' "$licence" >"$tree/kernels/view.h"
  printf '%s\n#pragma once\n#include "kernels/view.h"\ninline View make() { return {}; }\n' "$licence" >"$tree/sim/env.h"
}

expect() {  # STATUS CHECK WHAT
  bash "$house/$2.sh" "$tree" >"$tree/.output" 2>&1
  local status=$?
  ((status == $1 || status == 77)) && return
  echo "$2: status $status instead of $1 on $3"
  cat "$tree/.output"
  bad=1
}

expect_fault() {  # CHECK FILE TEXT
  make_good_tree
  expect 0 "$1" "a good tree"
  printf '%b' "$3" >>"$tree/$2"
  expect 1 "$1" "$2 with $3"
}

expect_fault include_directions kernels/view.h '#include "sim/env.h"\n'
expect_fault include_directions agents/a.cpp '#include "sim/env.h"\n'
expect_fault include_directions sim/env.h '#include "env.h"\n'
expect_fault include_directions sim/env.h '#include <agents/a.h>\n'
expect_fault kernel_launches sim/env.cu 'void f() { g<<<1, 2>>>(); }\n'
expect_fault kernel_launches kernels/view.h 'void f() { g<<<1, 2>>>(); }\n'
expect_fault torch_room agents/a.cpp '#include <torch/types.h>\n'
expect_fault torch_room agents/networks/torch_a.cu '#include <ATen/ATen.h>\n'
expect_fault headers_alone sim/env.h 'inline std::string name();\n'
expect_fault headers_alone sim/b.h 'struct B {};\n'
expect_fault formatting sim/env.h 'int  x ;\n'
expect_fault licence_lines sim/b.h '#pragma once\n'
expect_fault file_length sim/env.h "$(yes '//' | head -n 460)"
expect_fault unfinished_work sim/env.h '// TO''DO\n'
expect_fault readme_numbers README.md \
  '<!-- begin headline -->\n900 M/s\n<!-- end headline -->\n<!-- begin gpu -->\nnot yet measured\n<!-- end gpu -->\n'
expect_fault readme_numbers docs/results.md \
  '<!-- begin speed -->\n900 M/s\n<!-- end speed -->\n<!-- begin gpu -->\nnot yet measured\n<!-- end gpu -->\n'
exit $bad
