// SPDX-License-Identifier: Apache-2.0
// The code of a kernel while it is decoded: what its names mean, and where its registers and variables lie.
#pragma once

#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/module.h"
#include "tests/soft_gpu/operations.h"
#include "tests/soft_gpu/register_allocation.h"
#include "tests/soft_gpu/syntax.h"

namespace stampede::soft_gpu {

// letter: 'w' for registers of up to 32 bits, 'd' for 64 bits, 'p' for predicates.
struct Register {
  Slot slot;
  char letter;
};

struct Variable {
  Space space;
  std::size_t offset;
};

// One function of the kernel's code.
struct Scope {
  std::map<std::string_view, char> declared;  // "%r": 'w' for registers %r0, %r1, ...
  std::map<std::string_view, Register> registers;
  std::map<std::string_view, Variable> variables;
  std::map<std::string_view, std::uint32_t> labels;
  std::vector<std::pair<std::size_t, std::string_view>> branches;  // instruction, label
  std::vector<std::size_t> returns;                                // branches to the end of a called function
  bool is_entry = true;
};

class KernelBuilder {
 public:
  KernelBuilder(const ModuleText& module, Kernel& kernel);

  [[noreturn]] static void refuse(const Instruction& instruction);

  void add_parameter(const Declaration& parameter, Scope& scope);
  void declare(const Declaration& declaration, Scope& scope);
  // uses: without the guard's consequence, that lanes which it leaves out keep what they had.
  void add(const Op& op, SlotUses uses, std::string_view text);
  // Resolves the branches of a function whose instructions are all there.
  void close(const Scope& scope);
  void finish();

  // The slot of a register, a constant, or the address of a variable.
  Slot operand(std::string_view text, char letter, const Instruction& instruction, Scope& scope);
  Register find_register(std::string_view text, const Instruction& instruction, Scope& scope);
  Variable find_variable(std::string_view name, const Instruction& instruction, Scope& scope);
  bool is_extern_shared(std::string_view name);
  Slot new_slot(char letter, bool fixed = false);

  const ModuleText& module() const { return module_; }
  Code& code() { return code_; }
  std::uint32_t position() const { return static_cast<std::uint32_t>(code_.ops.size()); }

 private:
  std::size_t new_local(const Declaration& variable);
  std::size_t new_shared(const Declaration& variable);
  Slot constant(std::uint64_t value, char letter);
  Slot extern_shared_address(char letter);
  Slot lower_half(Slot wide, const Instruction& instruction);

  const ModuleText& module_;
  Kernel& kernel_;
  Code code_;
  std::vector<SlotUses> uses_;   // of the ops
  std::vector<SlotKind> kinds_;  // of virtual slots
  std::map<std::pair<std::uint64_t, char>, Slot> constants_;
  std::map<std::string_view, Variable> shared_;  // of the module
  std::vector<std::size_t> extern_uses_;         // constants that are addresses in dynamic shared memory
  std::size_t extern_alignment_ = 16;
};

// The number that PTX writes as 12, -3, 0x1F, 0f3F800000 or 0d3FF0000000000000: its bits.
std::uint64_t immediate(std::string_view text);
inline bool is_number(std::string_view text) { return text[0] == '-' || (text[0] >= '0' && text[0] <= '9'); }

}  // namespace stampede::soft_gpu
