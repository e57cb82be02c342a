#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# LibTorch is included only by agents/networks/torch_* and tests/oracle, and never by a .cu file.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verdict "LibTorch included outside its room" \
  "$(list_cpp | grep -vE '^(agents/networks/torch_|tests/oracle/)[^ ]*\.(h|cpp)$' |
    xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<](torch|ATen|c10)/')"
