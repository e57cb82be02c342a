#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Only kernels/ launches CUDA kernels.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verdict "kernel launches outside kernels/" \
  "$(list_cpp | grep -vE '^kernels/' | xargs -r grep -n '<<<')"
