// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/kernel_builder.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "tests/soft_gpu/fault.h"
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

constexpr std::size_t kSlotBytes = kLanes * sizeof(std::uint32_t);

std::size_t aligned(std::size_t offset, std::size_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace

std::uint64_t immediate(std::string_view text) {
  const std::string digits(text);
  if (digits.size() > 2 && digits[0] == '0' && std::string_view("fFdD").find(digits[1]) != std::string_view::npos) {
    return std::strtoull(digits.c_str() + 2, nullptr, 16);
  }
  if (digits[0] == '-') return static_cast<std::uint64_t>(std::strtoll(digits.c_str(), nullptr, 0));
  return std::strtoull(digits.c_str(), nullptr, 0);
}

KernelBuilder::KernelBuilder(const ModuleText& module, Kernel& kernel) : module_(module), kernel_(kernel) {
  for (Slot* slot : {&code_.thread, &code_.threads, &code_.block, &code_.blocks}) *slot = new_slot('w', true);
}

void KernelBuilder::refuse(const Instruction& instruction) {
  throw Fault(Fault::Kind::kBadInstruction, "PTX line " + std::to_string(instruction.line) + ": cannot execute '" +
                                                std::string(instruction.text) + "'");
}

void KernelBuilder::add_parameter(const Declaration& parameter, Scope& scope) {
  const std::size_t offset = aligned(kernel_.parameter_bytes, parameter.alignment);
  scope.variables[parameter.name] = {Space::kParameter, offset};
  kernel_.parameters.push_back({offset, parameter.bytes, parameter.alignment});
  kernel_.parameter_bytes = offset + parameter.bytes;
}

void KernelBuilder::declare(const Declaration& declaration, Scope& scope) {
  if (declaration.space == ".reg") {
    const std::size_t bytes = type_bytes(declaration.type);
    scope.declared[declaration.name] = declaration.type == "pred" ? 'p' : bytes == 8 ? 'd' : 'w';
  } else if (declaration.space == ".shared") {
    scope.variables[declaration.name] = {Space::kShared, new_shared(declaration)};
  } else if (declaration.space == ".local" || declaration.space == ".param") {
    scope.variables[declaration.name] = {Space::kLocal, new_local(declaration)};
  } else {
    throw Fault(Fault::Kind::kBadInstruction, "unknown declaration of " + std::string(declaration.name));
  }
}

void KernelBuilder::add(const Op& op, SlotUses uses, std::string_view text) {
  if (op.guard >= 0) uses.reads |= uses.writes;
  code_.ops.push_back(op);
  code_.texts.push_back(text);
  uses_.push_back(uses);
}

void KernelBuilder::close(const Scope& scope) {
  for (const auto& [place, label] : scope.branches) {
    const auto target = scope.labels.find(label);
    if (target == scope.labels.end()) {
      throw Fault(Fault::Kind::kBadInstruction, "no label " + std::string(label));
    }
    code_.ops[place].target = target->second;
  }
  for (const std::size_t place : scope.returns) code_.ops[place].target = position();
}

// Dynamic shared memory begins where the static one ends, which is known when all code was seen.
void KernelBuilder::finish() {
  if (!extern_uses_.empty()) {
    kernel_.static_shared = aligned(kernel_.static_shared, extern_alignment_);
    for (const std::size_t i : extern_uses_) code_.constants[i].value += kernel_.static_shared;
  }
  allocate_registers(code_, uses_, kinds_);
  kernel_.code = std::make_unique<const Code>(std::move(code_));
}

Slot KernelBuilder::operand(std::string_view text, char letter, const Instruction& instruction, Scope& scope) {
  if (text == "_") return new_slot(letter);
  if (is_number(text)) return constant(immediate(text), letter);
  if (text[0] == '%' || scope.declared.contains(text)) {
    const Register found = find_register(text, instruction, scope);
    if (found.letter == letter) return found.slot;
    if (found.letter == 'd' && letter == 'w' && instruction.opcode == "cvt") return lower_half(found.slot, instruction);
    refuse(instruction);
  }
  if (is_extern_shared(text)) return extern_shared_address(letter);
  return constant(find_variable(text, instruction, scope).offset, letter);
}

Register KernelBuilder::find_register(std::string_view text, const Instruction& instruction, Scope& scope) {
  if (text == "%tid.x") return {code_.thread, 'w'};
  if (text == "%ntid.x") return {code_.threads, 'w'};
  if (text == "%ctaid.x") return {code_.block, 'w'};
  if (text == "%nctaid.x") return {code_.blocks, 'w'};
  const auto known = scope.registers.find(text);
  if (known != scope.registers.end()) return known->second;
  auto declared = scope.declared.find(text);
  if (declared == scope.declared.end()) {
    declared = scope.declared.find(text.substr(0, text.find_last_not_of("0123456789") + 1));
  }
  if (declared == scope.declared.end()) refuse(instruction);
  return scope.registers[text] = {new_slot(declared->second), declared->second};
}

Variable KernelBuilder::find_variable(std::string_view name, const Instruction& instruction, Scope& scope) {
  if (const auto known = scope.variables.find(name); known != scope.variables.end()) return known->second;
  if (const auto known = shared_.find(name); known != shared_.end()) return known->second;
  const auto declared = module_.shared.find(name);
  if (declared == module_.shared.end()) refuse(instruction);
  return shared_[name] = {Space::kShared, new_shared(declared->second)};
}

bool KernelBuilder::is_extern_shared(std::string_view name) {
  const auto found = module_.shared.find(name);
  if (found == module_.shared.end() || found->second.sized) return false;
  extern_alignment_ = std::max(extern_alignment_, found->second.alignment);
  return true;
}

Slot KernelBuilder::new_slot(char letter, bool fixed) {
  if (letter == 'p') return static_cast<Slot>(code_.predicates++);
  const std::size_t slot = kinds_.size() * kSlotBytes;
  if (letter == 'd') {
    kinds_.push_back(fixed ? SlotKind::kFixedWide : SlotKind::kWide);
    kinds_.push_back(SlotKind::kNone);
  } else {
    kinds_.push_back(fixed ? SlotKind::kFixed : SlotKind::kWord);
  }
  return static_cast<Slot>(slot);
}

std::size_t KernelBuilder::new_local(const Declaration& variable) {
  const std::size_t offset = aligned(kernel_.local_bytes, variable.alignment);
  kernel_.local_bytes = aligned(offset + variable.bytes, 16);
  return offset;
}

std::size_t KernelBuilder::new_shared(const Declaration& variable) {
  const std::size_t offset = aligned(kernel_.static_shared, variable.alignment);
  kernel_.static_shared = offset + variable.bytes;
  return offset;
}

Slot KernelBuilder::constant(std::uint64_t value, char letter) {
  if (letter == 'p') return value != 0 ? kTrue : kFalse;
  if (letter == 'w') value &= 0xFFFFFFFFu;
  const auto [found, is_new] = constants_.try_emplace({value, letter}, 0);
  if (is_new) {
    found->second = new_slot(letter, true);
    code_.constants.push_back({found->second, value, letter == 'd'});
  }
  return found->second;
}

Slot KernelBuilder::extern_shared_address(char letter) {
  const Slot slot = new_slot(letter, true);
  extern_uses_.push_back(code_.constants.size());
  code_.constants.push_back({slot, 0, letter == 'd'});
  return slot;
}

// Conversions may name a register that is wider than their source.
Slot KernelBuilder::lower_half(Slot wide, const Instruction& instruction) {
  Op op;
  op.execute = conversion_operations().at("cvt.u32.u64").execute;
  op.slot[0] = new_slot('w');
  op.slot[1] = wide;
  op.line = instruction.line;
  add(op, {0b10, 0b01}, instruction.text);
  return op.slot[0];
}

}  // namespace stampede::soft_gpu
