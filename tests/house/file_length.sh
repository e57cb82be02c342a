#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A file is one thing: none is longer than 450 lines.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verdict "files longer than 450 lines" \
  "$({ list_files '*.h' '*.cpp' '*.cu' '*.cuh' '*.sh' '*.py' '*.cmake' 'CMakeLists.txt'; echo stampede; } |
    xargs -r wc -l | awk '$2 != "total" && $1 > 450 { print $2 " (" $1 ")" }')"
