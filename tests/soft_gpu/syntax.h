// SPDX-License-Identifier: Apache-2.0
// PTX text taken apart: functions, declarations, and instructions with their operands. Nothing is interpreted here.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace stampede::soft_gpu {

// `.shared .align 16 .b8 name[1024]`, `.param .u64 name`, `.reg .b32 %r<20>` (count 20).
struct Declaration {
  std::string_view space, type, name;
  std::size_t alignment = 1, count = 1, bytes = 0;
  bool sized = true;  // false for `name[]`
};

// `@!%p1 setp.lt.f32 %p2, %f1, %f2`: guard "%p1", opcode "setp", modifiers "lt" and "f32".
struct Instruction {
  std::string_view text, opcode, guard;
  std::vector<std::string_view> modifiers, operands;
  bool guard_negated = false;
  unsigned line = 0;  // of the module's text, from 1

  bool has(std::string_view modifier) const;
  // The modifier that is a type, counted from the last one: f32 of cvt.rn.f32.f64 is type(1). "" when there is none.
  std::string_view type(std::size_t from_last = 0) const;
};

struct Statement {
  enum class Kind { kLabel, kDeclaration, kUsedBytes, kInstruction };
  Kind kind = Kind::kInstruction;
  std::string_view label;
  Declaration declaration;
  unsigned used_bytes = 0;  // which bytes of the next load the program uses
  Instruction instruction;
};

struct FunctionText {
  std::string_view name, body;
  std::vector<Declaration> results, parameters;
  unsigned line = 0;  // where the body begins
  unsigned max_threads = 1024;
};

struct ModuleText {
  explicit ModuleText(std::string_view ptx);

  std::string text;  // without comments
  std::map<std::string_view, FunctionText> entries, functions;
  std::map<std::string_view, Declaration> shared;  // variables outside functions
};

// Throws Fault for what it cannot read.
std::vector<Statement> parse_body(const FunctionText& function);
// `{a, b}` as {a, b}; anything else as itself.
std::vector<std::string_view> vector_parts(std::string_view operand);
std::size_t type_bytes(std::string_view type);  // 4 of "f32", 0 for what is no type

}  // namespace stampede::soft_gpu
