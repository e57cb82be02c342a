#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The launcher compiles CUDA code for the GPUs that a machine has.
set -u
root=$1
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
bad=0
source "$root/tools/build.sh"
nvcc=$bin/nvcc
preset=native

pretend() {  # NAME, OUTPUT: a program of that name which prints that
  printf '#!/bin/sh\nprintf "%s"\n' "$2" >"$bin/$1"
  chmod +x "$bin/$1"
}

expect() {  # CAPABILITIES OF THE GPUS, CUDA, ARCHITECTURES
  pretend nvidia-smi "$1"
  PATH=$bin:/usr/bin:/bin choose_cuda
  [[ $cuda == "$2" && (-z $3 || $architectures == "$3") ]] && return
  echo "GPUs '$1': CUDA $cuda for '$architectures' ($cuda_note) instead of $2 for '$3'"
  bad=1
}

pretend nvcc 'Cuda compilation tools, release 13.0, V13.0.88\ncompute_75\ncompute_80\ncompute_86\ncompute_89\ncompute_90\ncompute_120\n'
expect '' ON 90
expect 'NVIDIA-SMI has failed because it could not communicate with the driver\n' ON 90
expect '9.0\n' ON 90
expect '8.6\n8.6\n' ON 86
expect '12.0\n8.9\n' ON '89;120'
expect '12.1\n' ON 120
expect '7.5\n' OFF ''
expect '7.5\n8.0\n' ON 80
[[ $cuda_note == *"compute capability 8.0" ]] || { echo "said: $cuda_note"; bad=1; }
exit $bad
