// SPDX-License-Identifier: Apache-2.0
// Kernels in NVIDIA's PTX text, as nvcc prints it: instructions, registers, parameters and labels, ready to be
// executed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace stampede::ptx {

// The last part of an opcode, such as s32: what kind of number and how wide.
struct Type {
  char kind = 'b';  // b, u, s, f, or p for a predicate
  int bits = 32;
};
Type parse_type(const std::string& text);
bool is_type(const std::string& text);

struct Operand {
  enum class Kind { kRegister, kImmediate, kSpecial, kSymbol, kAddress, kVector };
  Kind kind = Kind::kImmediate;
  bool negated = false;        // !%p
  int index = 0;               // register; -1 for an address relative to a symbol
  std::uint64_t value = 0;     // immediate, or an address's offset
  std::string name;            // special register, or symbol
  std::vector<Operand> parts;  // of a vector
};

struct Instruction {
  std::string text;
  std::string op;                      // first part of the opcode
  std::vector<std::string> modifiers;  // the rest, types included
  std::vector<Type> types;             // of the modifiers, in order; the last one is the operation's
  std::vector<Operand> operands;
  int guard = -1;  // predicate register
  bool guard_negated = false;
  std::size_t target = 0;  // of a branch

  bool has(const std::string& modifier) const;
  Type type() const { return types.empty() ? Type{} : types.back(); }
};

struct Parameter {
  std::string name;
  std::size_t bytes;
};

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  std::map<std::string, std::size_t> local;  // local arrays and their sizes
  std::vector<Instruction> code;
  int registers = 0;
};

// Every kernel of a module. Throws std::runtime_error, quoting the statement, for text that it does not understand.
std::vector<Kernel> parse_module(const std::string& text);

}  // namespace stampede::ptx
