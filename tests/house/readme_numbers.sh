#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The measured tables of README.md and docs/results.md are what tools/readme_tables.py makes of the committed JSON.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
type -P python3 >/dev/null || { echo "readme: no python3"; exit 77; }
verdict "README.md and docs/results.md" "$(python3 "$house/../../tools/readme_tables.py" --check . 2>&1)"
