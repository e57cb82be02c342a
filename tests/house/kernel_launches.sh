#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kernels are launched through kernels/launch.h, which records them and checks each: nowhere with <<< >>>.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verdict "kernel launches that kernels/launch.h does not see" "$(list_cpp | xargs -r grep -n '<<<')"
