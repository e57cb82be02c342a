#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches LibTorch 2.11.0 (headers, libtorch_cpu, libc10) once per user, pinned by hash, from its PyPI wheel.
# usage: tools/setup_torch.sh [--cuda] [--check]
#   --cuda   with libtorch_cuda and all NVIDIA libraries it needs; only a driver is missing then
#   --check  fetch nothing, say by the exit code whether it is there
# It appears under its final name only when it is complete, so an interrupted or a second fetch does no harm.
set -u
say() { printf 'stampede: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

version=2.11.0
cache=${XDG_CACHE_HOME:-${HOME:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)/build}/.cache}/stampede
home=$cache/libtorch-$version
kind=cpu check=
for argument; do
  case $argument in
    --cuda) kind=cuda ;;
    --check) check=1 ;;
    *) say "setup_torch.sh: unknown option $argument (known: --cuda --check)"; exit 2 ;;
  esac
done
is_there() { [[ -e $home/torch/lib/libtorch_$kind.so ]]; }
is_there && exit 0
[[ -z $check ]] || exit 1
[[ $(uname -sm) == "Linux x86_64" ]] || die "LibTorch is fetched for x86-64 Linux only, not for $(uname -sm)"

{ mkdir -p "$cache" && [[ -w $cache ]]; } 2>/dev/null || die "cannot write to $cache: set XDG_CACHE_HOME to a folder of yours"
exec {lock}>>"$home.lock"
flock -n "$lock" || { say "waiting for another fetch of LibTorch"; flock "$lock"; }
is_there && exit 0

if [[ $kind == cuda ]]; then needed=6500 amount="2.2 GB"; else needed=1300 amount="544 MB"; fi
rm -rf "$cache"/libtorch-"$version".part.*  # what an interrupted fetch left; the lock says that nobody is in it
free=$(df -Pk "$cache" | awk 'NR == 2 { print int($4 / 1024) }')
((free > needed)) || die "LibTorch needs $needed MiB in $cache while it is fetched; $free MiB are free"
part=$(mktemp -d "$home.part.XXXXXX") || exit 1
trap 'rm -rf "$part"' EXIT
trap 'say "interrupted; LibTorch was not fetched"; exit 130' INT TERM

find_pip() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    if "$candidate" -m pip --version >/dev/null 2>&1; then python=$candidate; return; fi
  done
  if type -P python3 >/dev/null && python3 -m venv "$part/venv" >/dev/null 2>&1; then python=$part/venv/bin/python; return; fi
  return 1
}

install_pip() {
  local as_root=(env DEBIAN_FRONTEND=noninteractive) packages=(install -y --no-install-recommends python3-pip)
  type -P apt-get >/dev/null || die "missing: pip for python3, to fetch LibTorch. Install it, then run the same command again"
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || die "missing: python3-pip, to fetch LibTorch. Run: sudo apt-get install -y ${packages[*]:2}"
    as_root=(sudo -n "${as_root[@]}")
  fi
  say "installing python3-pip (apt-get)"
  "${as_root[@]}" apt-get "${packages[@]}" >"$part/apt.log" 2>&1 </dev/null && return
  { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get "${packages[@]}"; } >"$part/apt.log" 2>&1 </dev/null && return
  tail -n 5 "$part/apt.log" >&2
  die "failed: apt-get ${packages[*]}"
}

explain_pip_failure() {
  if grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|name resolution' "$part/pip.log"; then
    echo "the package index cannot be reached (no network?)"
  elif grep -qE 'SSLError|CERTIFICATE_VERIFY' "$part/pip.log"; then
    echo "the package index's certificate is not trusted here (set PIP_CERT to the right bundle)"
  else
    grep -m 1 ERROR "$part/pip.log" || tail -n 1 "$part/pip.log"
  fi
}

find_pip || { install_pip && find_pip; } || die "python3 -m pip does not work, so LibTorch cannot be fetched"

# libtorch_cpu.so is a CUDA build: it needs libcudart and libcupti to load, but no driver and no GPU.
cat >"$part/requirements.txt" <<'R'
torch==2.11.0 --hash=sha256:7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a
nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti==13.0.85 --hash=sha256:4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8
R
[[ $kind == cpu ]] || cat >>"$part/requirements.txt" <<'R'
nvidia-cublas==13.1.0.3 --hash=sha256:ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171
nvidia-cudnn-cu13==9.19.0.56 --hash=sha256:d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf
nvidia-cufft==12.0.0.61 --hash=sha256:6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3
nvidia-cufile==1.15.1.6 --hash=sha256:08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44
nvidia-curand==10.4.0.35 --hash=sha256:1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc
nvidia-cusparse==12.6.3.3 --hash=sha256:2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b
nvidia-cusparselt-cu13==0.8.0 --hash=sha256:25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd
nvidia-nccl-cu13==2.28.9 --hash=sha256:e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42
nvidia-nvjitlink==13.0.88 --hash=sha256:13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b
nvidia-nvshmem-cu13==3.4.5 --hash=sha256:290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80
R
say "fetching LibTorch $version into $cache ($amount, once)"
# The wheel's Python version means nothing to C++: any Python takes the cp311 one. pip does not infer older platform tags.
"$python" -m pip --disable-pip-version-check download --quiet --no-deps --no-cache-dir --require-hashes --only-binary=:all: \
  --implementation cp --python-version 311 --abi cp311 --abi none \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 \
  --platform manylinux_2_18_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux_2_12_x86_64 \
  --platform manylinux2014_x86_64 --dest "$part/wheels" --requirement "$part/requirements.txt" >"$part/pip.log" 2>&1 ||
  die "LibTorch could not be fetched: $(explain_pip_failure)"

PART=$part KIND=$kind "$python" - 2>"$part/unpack.log" <<'P' || die "LibTorch could not be unpacked: $(tail -n 1 "$part/unpack.log")"
import glob, os, re, zipfile
part = os.environ["PART"]
keep = re.compile(r"torch/include/|torch/lib/(libc10|libtorch_cpu|libgomp)[^/]*\.so|torch-[^/]*dist-info/(licenses/|METADATA)"
                  r"|nvidia/[^/]+/lib/(libcudart|libcupti)\.so")
if os.environ["KIND"] == "cuda":
    keep = re.compile(keep.pattern + r"|torch/lib/lib(c10_cuda|torch_cuda|torch_nvshmem)\.so|nvidia/[^/]+/lib/lib[^/]*\.so")
for wheel in glob.glob(part + "/wheels/*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(part + "/out", [name for name in archive.namelist() if keep.match(name)])
P

for file in torch/include/ATen/ATen.h torch/include/torch/csrc/api/include/torch/torch.h torch/lib/libtorch_cpu.so \
  torch/lib/libc10.so "torch/lib/libtorch_$kind.so" nvidia/cu13/lib/libcudart.so.13 nvidia/cu13/lib/libcupti.so.13; do
  [[ -s $part/out/$file ]] || die "LibTorch is incomplete: $file is missing"
done
# Nothing of it may be missing at run time: the loader resolves every library it needs.
lost=$(LD_LIBRARY_PATH=$part/out/nvidia/cu13/lib ldd "$part/out/torch/lib/libtorch_$kind.so" 2>/dev/null | awk '/not found/ { print $1 }')
[[ -z $lost ]] || die "LibTorch cannot be loaded on this machine, missing: ${lost//$'\n'/ }"

rm -rf "$home"
mv "$part/out" "$home" || die "could not move LibTorch to $home"
say "LibTorch $version is in $home ($(du -sm "$home" | cut -f1) MiB)"
