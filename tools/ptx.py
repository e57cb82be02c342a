# SPDX-License-Identifier: Apache-2.0
"""Splits PTX into functions and instructions."""
import re
from dataclasses import dataclass, field

FUNCTION = re.compile(r"^\s*(?:\.(?:visible|weak|extern|common)\s+)*\.(entry|func)\b(.*)$")


@dataclass
class Function:
    name: str
    is_kernel: bool
    lines: list = field(default_factory=list)  # labels ("$L1:") and instructions without their semicolon

    def instructions(self):
        return [line for line in self.lines if not line.endswith(":")]

    def callees(self, functions):
        """The functions this one may call, by name, as far as the module defines them."""
        words = {w for line in self.instructions() if "call" in opcode(line) for w in re.findall(r"[\w$]+", line)}
        return [functions[w] for w in words if w in functions]


def opcode(line):
    """'ld.global.f32' of '@%p1 ld.global.f32 %f1, [%rd1]'."""
    words = line.split()
    return words[1] if words[0].startswith("@") else words[0]


def parse(text):
    """{name: Function} of all functions with a body in a PTX module."""
    functions, current, header = {}, None, None
    statement, depth = "", 0
    for raw in text.splitlines():
        line = raw.split("//")[0].strip()
        if current is None:
            match = FUNCTION.match(line)
            if match:
                header = [match[1], line]
            elif header:
                header[1] += " " + line
            if header and line == "{":
                current, depth = Function(function_name(header[1]), header[0] == "entry"), 1
            elif header and line.endswith(";"):
                header = None  # a declaration
            continue
        if line in ("{", "}"):  # calls have blocks of their own
            depth += 1 if line == "{" else -1
            if depth == 0:
                functions[current.name] = current
                current, header = None, None
            continue
        if not line or line.startswith("."):
            continue
        statement += (" " if statement else "") + line
        if line.endswith(":"):
            current.lines.append(statement)
            statement = ""
        elif line.endswith(";"):
            current.lines.append(statement[:-1].strip())
            statement = ""
    return functions


def function_name(header):
    """'f' of '.visible .entry f( .param ...)' and of '.func (.param .b32 r) f ( ... )'."""
    text = re.sub(r"^.*?\.(?:entry|func)\s*", "", header)
    text = re.sub(r"^\([^)]*\)\s*", "", text)
    return re.match(r"[\w$]+", text)[0]


def with_callees(function, functions):
    """The function and all it may call."""
    reached, waiting = {}, [function]
    while waiting:
        f = waiting.pop()
        if f.name not in reached:
            reached[f.name] = f
            waiting += f.callees(functions)
    return list(reached.values())
