# SPDX-License-Identifier: Apache-2.0
"""Reads the device code that nvcc embeds in a program: PTX, and what ptxas gave each kernel.

The build does not compress device code (--no-compress), so no tool of the CUDA toolkit is needed.
"""
import re
import struct
import subprocess
from pathlib import Path

FATBIN_MAGIC = 0xBA55ED50
PTX, ELF = 1, 2
FRAME_SIZE, MIN_STACK_SIZE, REGISTER_COUNT = 0x11, 0x12, 0x2F  # attributes of .nv.info


class NoDeviceCode(Exception):
    pass


def elf_sections(data):
    """(name, type, info, contents) of every section, in order."""
    offset, = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, offset + 64 * i) for i in range(count)]
    strings = headers[names][4]
    sections = []
    for name, kind, _, _, start, size, _, info, _, _ in headers:
        text = data[strings + name:data.index(b"\0", strings + name)].decode()
        sections.append((text, kind, info, b"" if kind == 8 else data[start:start + size], size))
    return sections


def fatbin_entries(program):
    """(kind, architecture, contents) of all device code in a program or object file."""
    data = Path(program).read_bytes()
    found = [s for s in elf_sections(data) if s[0] == ".nv_fatbin"]
    if not found:
        raise NoDeviceCode(f"{program} has no device code; build with nvcc (STAMPEDE_CUDA=ON)")
    text = found[0][3]
    at = 0
    while at + 16 <= len(text):
        magic, _, header, size = struct.unpack_from("<IHHQ", text, at)
        if magic != FATBIN_MAGIC:
            at += 8  # padding between objects
            continue
        entry, end = at + header, at + header + size
        while entry < end:
            kind, _, entry_header = struct.unpack_from("<HHI", text, entry)
            stored, = struct.unpack_from("<Q", text, entry + 8)
            architecture, = struct.unpack_from("<I", text, entry + 28)
            contents = text[entry + entry_header:entry + entry_header + stored]
            if kind == ELF and contents[:4] != b"\x7fELF" or kind == PTX and b".version" not in contents[:4000]:
                raise NoDeviceCode(f"device code of {program} is compressed; build with --no-compress")
            yield kind, architecture, contents
            entry += entry_header + stored
        at = end


def ptx_modules(program):
    return [c.rstrip(b"\0").decode() for kind, _, c in fatbin_entries(program) if kind == PTX]


def ptx_version(module):
    """'9.0' of a PTX module from CUDA 13.0: every release has its own."""
    match = re.search(r"^\.version (\d+\.\d+)", module[:2000], re.M)
    if not match:
        raise NoDeviceCode("PTX without a version")
    return match[1]


# What a block's section of shared memory holds for the system from sm_90 on, in modules where any kernel has one.
RESERVED_SHARED = 1024


def kernel_resources(program):
    """{(mangled name, architecture): (registers, stack bytes, static shared bytes)} of all kernels."""
    resources = {}
    for kind, architecture, cubin in fatbin_entries(program):
        if kind == ELF:
            for name, values in cubin_resources(cubin).items():
                resources[name, architecture] = values
    return resources


def cubin_resources(cubin):
    sections = elf_sections(cubin)
    by_name = {s[0]: s for s in sections}
    strings, symbols = by_name[".strtab"][3], by_name[".symtab"][3]

    def symbol(index):
        start, = struct.unpack_from("<I", symbols, 24 * index)
        return strings[start:strings.index(b"\0", start)].decode()

    values, info, at = {}, by_name[".nv.info"][3], 0
    while at < len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form != 4:  # the value is in the size's place
            continue
        if size == 8 and attribute in (FRAME_SIZE, MIN_STACK_SIZE, REGISTER_COUNT):
            index, value = struct.unpack_from("<II", info, at)
            values.setdefault(symbol(index), {})[attribute] = value
        at += size
    kernels = {}
    for name, *_ in sections:
        if not name.startswith(".nv.info."):
            continue
        kernel = name[len(".nv.info."):]
        if ".nv.constant0." + kernel not in by_name:  # a function that kernels call
            continue
        found = values.get(kernel, {})
        section = by_name.get(".nv.shared." + kernel, (None,) * 5)[4] or 0
        shared = max(0, section - RESERVED_SHARED)
        stack = max(found.get(FRAME_SIZE, 0), found.get(MIN_STACK_SIZE, 0))
        kernels[kernel] = (found.get(REGISTER_COUNT, 0), stack, shared)
    return kernels


def readable_names(mangled):
    """{mangled: 'StepOp<CartPole>'}: without namespaces, and without what depends on paths."""
    mangled = sorted(set(mangled))
    local = [re.sub(r"\d+_GLOBAL__N__[0-9a-f]+_\d+_\w+?_cu_[0-9a-f]{8}", "12_GLOBAL__N_1", m) for m in mangled]
    text = subprocess.run(["c++filt"], input="\n".join(local), capture_output=True, text=True, check=True).stdout
    names = {}
    for name, demangled in zip(mangled, text.splitlines()):
        short = demangled.replace("(anonymous namespace)::", "").replace("stampede::", "")
        match = re.match(r"(?:void )?(?:index|chunk|block|bounded_block)_kernel<(?:\d+u, \d+u, )?(.*)>\(.*\)$", short)
        names[name] = (match[1] if match else re.sub(r"\(.*", "", short.removeprefix("void "))).strip()
    return names
