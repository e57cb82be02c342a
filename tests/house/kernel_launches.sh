#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Only kernels/ and sim/batched_env.h launch CUDA kernels.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verdict "kernel launches outside kernels/ and sim/batched_env.h" \
  "$(list_cpp | grep -vE '^(kernels/|sim/batched_env\.h$)' | xargs -r grep -n '<<<')"
