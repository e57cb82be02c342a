#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A layer includes only the layers below it (docs/architecture.md), by paths relative to the root.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

declare -A allowed=(
  [kernels]="kernels"
  [sim]="kernels|sim"
  [replay]="kernels|replay"
  [agents]="kernels|replay|agents"
  [train]="kernels|sim|replay|agents|train"
  [cli]="kernels|sim|replay|agents|train|cli"
)
list_includes() { grep -rnE --include='*.h' --include='*.cpp' --include='*.cu' "^[[:space:]]*#[[:space:]]*include[[:space:]]*$2" "$1"; }

find_violations() {
  local layer
  for layer in "${!allowed[@]}"; do
    [[ -d $layer ]] || continue
    list_includes "$layer" '"' | grep -vE "include[[:space:]]*\"(${allowed[$layer]})/"
    list_includes "$layer" '<(kernels|sim|replay|agents|train|cli|tests|bench)/'
  done
}
verdict "includes against the order of the layers" "$(find_violations)"
