# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by every check: go to the root given as the first argument; list its own files; end with a verdict.
set -u
house=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$1" || exit 2

list_files() {  # PATTERN... : files of the repository, without what is built or written by runs
  local names=() pattern
  for pattern; do names+=(-o -name "$pattern"); done
  find . \( -path ./build -o -path ./runs -o -path ./.git \) -prune -o -type f \( "${names[@]:1}" \) -print | sed 's|^\./||' | sort
}

list_cpp() { list_files '*.h' '*.cpp' '*.cu' '*.cuh'; }

verdict() {  # RULE, FINDINGS
  [[ -n $2 ]] || exit 0
  printf '%s:\n%s\n' "$1" "$2"
  exit 1
}
