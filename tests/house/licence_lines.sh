#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every source file names its licence in its first three lines.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verdict "files without an SPDX line" \
  "$({ list_files '*.h' '*.cpp' '*.cu' '*.cuh' '*.sh' '*.py' '*.cmake' 'CMakeLists.txt'; echo stampede; } | while read -r file; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file"
  done)"
