#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# C++ is formatted as .clang-format says; other versions than 14 would format a few lines differently.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
for tool in clang-format-14 clang-format ""; do
  [[ -n $tool ]] || { echo "formatting: no clang-format 14"; exit 77; }
  [[ $("$tool" --version 2>/dev/null) == *"version 14."* ]] && break
done
verdict "not formatted (clang-format -i repairs it)" \
  "$(list_cpp | xargs -r "$tool" --dry-run 2>&1 | grep -E 'warning|error' | cut -d: -f1 | uniq -c)"
