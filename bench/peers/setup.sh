#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts the peers into two virtual environments of their own; nothing that stampede builds or tests needs them.
# usage: bench/peers/setup.sh [FOLDER]        default ~/.cache/stampede/peers; about 10 GiB, 15 minutes
set -eu
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/stampede/peers}
mkdir -p "$folder"
for stack in torch jax; do
  [[ -x $folder/$stack/bin/python ]] || python3 -m venv "$folder/$stack"
  pip=("$folder/$stack/bin/python" -m pip install --quiet --disable-pip-version-check)
  # All at once for one consistent set; where that fails, one by one, so that a missing package costs only its own rows.
  "${pip[@]}" -r "$here/requirements-$stack.txt" && continue
  grep -v '^#' "$here/requirements-$stack.txt" | while read -r package; do
    "${pip[@]}" "$package" || echo "not installed: $package" >&2
  done
done
echo "peers are in $folder"
