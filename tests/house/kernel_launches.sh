#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Only kernels/launch.h launches CUDA kernels.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verdict "kernel launches outside kernels/launch.h" \
  "$(list_cpp | grep -vE '^kernels/launch\.h$' | xargs -r grep -n '<<<')"
