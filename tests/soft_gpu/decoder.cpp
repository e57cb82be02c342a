// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/decoder.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/fault.h"
#include "tests/soft_gpu/lanes.h"
#include "tests/soft_gpu/operations.h"

namespace stampede::soft_gpu {
namespace {

constexpr std::size_t kSlotBytes = kLanes * sizeof(std::uint32_t);
constexpr int kDeepestCall = 16;

const Operations& operation_table() {
  static const Operations table = [] {
    Operations all;
    for (auto* part : {&real_operations, &integer_operations, &bit_operations, &comparison_operations,
                       &conversion_operations, &move_operations}) {
      all.merge(part());
    }
    return all;
  }();
  return table;
}

struct Register {
  Slot slot;
  char letter;  // as in Operation::operands
};

struct Variable {
  Space space;
  std::size_t offset;
};

std::size_t aligned(std::size_t offset, std::size_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

bool is_number(std::string_view text) { return text[0] == '-' || (text[0] >= '0' && text[0] <= '9'); }

// 0f3F800000 and 0d3FF0000000000000 are the bits of a float or double.
std::uint64_t immediate(std::string_view text) {
  const std::string digits(text);
  if (digits.size() > 2 && digits[0] == '0' && std::string_view("fFdD").find(digits[1]) != std::string_view::npos) {
    return std::strtoull(digits.c_str() + 2, nullptr, 16);
  }
  if (digits[0] == '-') return static_cast<std::uint64_t>(std::strtoll(digits.c_str(), nullptr, 0));
  return std::strtoull(digits.c_str(), nullptr, 0);
}

// One function of the kernel's code: what its names mean.
struct Scope {
  std::map<std::string_view, char> declared;  // "%r": 'w' for registers %r0, %r1, ...
  std::map<std::string_view, Register> registers;
  std::map<std::string_view, Variable> variables;
  std::map<std::string_view, std::uint32_t> labels;
  std::vector<std::pair<std::size_t, std::string_view>> branches;  // instruction, label
  std::vector<std::size_t> returns;                                // branches to the end of a called function
  bool is_entry = true;
};

class Decoder {
 public:
  Decoder(const ModuleText& module, Kernel& kernel) : module_(module), kernel_(kernel) {
    for (Slot* slot : {&code_.thread, &code_.threads, &code_.block, &code_.blocks}) *slot = new_slot('w');
  }

  void run(const FunctionText& entry) {
    Scope scope;
    for (const Declaration& parameter : entry.parameters) add_parameter(parameter, scope);
    decode_body(entry, scope, 0);
    set_extern_shared();
    kernel_.code = std::make_unique<const Code>(std::move(code_));
  }

 private:
  [[noreturn]] static void refuse(const Instruction& instruction) {
    throw Fault(Fault::Kind::kBadInstruction, "PTX line " + std::to_string(instruction.line) + ": cannot execute '" +
                                                  std::string(instruction.text) + "'");
  }

  void add_parameter(const Declaration& parameter, Scope& scope) {
    const std::size_t offset = aligned(kernel_.parameter_bytes, parameter.alignment);
    scope.variables[parameter.name] = {Space::kParameter, offset};
    kernel_.parameters.push_back({offset, parameter.bytes, parameter.alignment});
    kernel_.parameter_bytes = offset + parameter.bytes;
  }

  std::size_t new_local(const Declaration& variable) {
    const std::size_t offset = aligned(kernel_.local_bytes, variable.alignment);
    kernel_.local_bytes = aligned(offset + variable.bytes, 16);
    return offset;
  }

  std::size_t new_shared(const Declaration& variable) {
    const std::size_t offset = aligned(kernel_.static_shared, variable.alignment);
    kernel_.static_shared = offset + variable.bytes;
    return offset;
  }

  Slot new_slot(char letter) {
    if (letter == 'p') return static_cast<Slot>(code_.predicates++);
    const std::size_t slot = code_.register_bytes;
    code_.register_bytes += letter == 'd' ? 2 * kSlotBytes : kSlotBytes;
    return static_cast<Slot>(slot);
  }

  Slot constant(std::uint64_t value, char letter) {
    if (letter == 'p') return value != 0 ? kTrue : kFalse;
    if (letter == 'w') value &= 0xFFFFFFFFu;
    const auto [found, is_new] = constants_.try_emplace({value, letter}, 0);
    if (is_new) {
      found->second = new_slot(letter);
      code_.constants.push_back({found->second, value, letter == 'd'});
    }
    return found->second;
  }

  // Dynamic shared memory begins where the static one ends, which is known when all code was seen.
  void set_extern_shared() {
    if (extern_uses_.empty()) return;
    kernel_.static_shared = aligned(kernel_.static_shared, extern_alignment_);
    for (const std::size_t i : extern_uses_) code_.constants[i].value += kernel_.static_shared;
  }

  void declare(const Declaration& declaration, Scope& scope) {
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

  void decode_body(const FunctionText& function, Scope& scope, int depth) {
    std::uint32_t used_bytes = 0xFFFFFFFFu;
    for (const Statement& statement : parse_body(function)) {
      if (statement.kind == Statement::Kind::kLabel) scope.labels[statement.label] = position();
      if (statement.kind == Statement::Kind::kDeclaration) declare(statement.declaration, scope);
      if (statement.kind == Statement::Kind::kUsedBytes) used_bytes = statement.used_bytes;
      if (statement.kind != Statement::Kind::kInstruction) continue;
      decode(statement.instruction, scope, depth);
      if (statement.instruction.opcode == "ld") code_.ops.back().used_bytes = used_bytes;
      used_bytes = 0xFFFFFFFFu;
    }
    for (const auto& [place, label] : scope.branches) {
      const auto target = scope.labels.find(label);
      if (target == scope.labels.end()) {
        throw Fault(Fault::Kind::kBadInstruction, "no label " + std::string(label));
      }
      code_.ops[place].target = target->second;
    }
    for (const std::size_t place : scope.returns) code_.ops[place].target = position();
  }

  std::uint32_t position() const { return static_cast<std::uint32_t>(code_.ops.size()); }

  void decode(const Instruction& instruction, Scope& scope, int depth) {
    if (instruction.opcode == "call") return decode_call(instruction, scope, depth);
    Op op;
    op.line = instruction.line;
    if (!instruction.guard.empty()) {
      op.guard = static_cast<std::int32_t>(operand(instruction.guard, 'p', instruction, scope));
      op.guard_negated = instruction.guard_negated;
    }
    if (!decode_special(instruction, scope, op)) decode_plain(instruction, scope, op);
    if (op.execute == nullptr) refuse(instruction);
    code_.ops.push_back(op);
    code_.texts.push_back(instruction.text);
  }

  // Instructions of a form of their own.
  bool decode_special(const Instruction& instruction, Scope& scope, Op& op) {
    using Form = void (Decoder::*)(const Instruction&, Scope&, Op&);
    static const std::map<std::string_view, Form> kForms = {
        {"ld", &Decoder::decode_memory},    {"st", &Decoder::decode_memory},    {"atom", &Decoder::decode_atomic},
        {"shfl", &Decoder::decode_shuffle}, {"vote", &Decoder::decode_vote},    {"mma", &Decoder::decode_product},
        {"bar", &Decoder::decode_barrier},  {"bra", &Decoder::decode_branch},   {"ret", &Decoder::decode_return},
        {"exit", &Decoder::decode_return},  {"membar", &Decoder::decode_fence},
    };
    const auto form = kForms.find(instruction.opcode);
    if (form == kForms.end()) return false;
    (this->*form->second)(instruction, scope, op);
    return true;
  }

  void decode_plain(const Instruction& instruction, Scope& scope, Op& op) {
    std::string name(instruction.opcode);
    for (const std::string_view modifier : instruction.modifiers) name += "." + std::string(modifier);
    std::vector<std::string_view> operands;
    for (const std::string_view part : instruction.operands) {
      for (const std::string_view scalar : vector_parts(part)) operands.push_back(scalar);
    }
    if (operands.size() == 3 && instruction.opcode == "mov") {
      name = instruction.operands[0][0] == '{' ? "mov.split" : "mov.join";
    }
    const auto found = operation_table().find(name);
    if (found == operation_table().end() || found->second.operands.size() != operands.size()) refuse(instruction);
    op.execute = found->second.execute;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      op.slot[i] = operand(operands[i], found->second.operands[i], instruction, scope);
    }
  }

  // The slot of a register, a constant, or the address of a variable.
  Slot operand(std::string_view text, char letter, const Instruction& instruction, Scope& scope) {
    if (text == "_") return new_slot(letter);
    if (is_number(text)) return constant(immediate(text), letter);
    if (text[0] == '%') {
      const Register found = find_register(text, instruction, scope);
      if (found.letter == 'd' && letter == 'w' && instruction.opcode == "cvt")
        return lower_half(found.slot, instruction);
      if (found.letter != letter) refuse(instruction);
      return found.slot;
    }
    if (scope.declared.contains(text)) return find_register(text, instruction, scope).slot;
    if (is_extern_shared(text)) {
      const Slot slot = new_slot(letter);
      extern_uses_.push_back(code_.constants.size());
      code_.constants.push_back({slot, 0, letter == 'd'});
      return slot;
    }
    return constant(find_variable(text, instruction, scope).offset, letter);
  }

  // Conversions may name a register that is wider than their source.
  Slot lower_half(Slot wide, const Instruction& instruction) {
    Op op;
    op.execute = operation_table().find("cvt.u32.u64")->second.execute;
    op.slot[0] = new_slot('w');
    op.slot[1] = wide;
    op.line = instruction.line;
    code_.ops.push_back(op);
    code_.texts.push_back(instruction.text);
    return op.slot[0];
  }

  Register find_register(std::string_view text, const Instruction& instruction, Scope& scope) {
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

  bool is_extern_shared(std::string_view name) {
    const auto found = module_.shared.find(name);
    if (found == module_.shared.end() || found->second.sized) return false;
    extern_alignment_ = std::max(extern_alignment_, found->second.alignment);
    return true;
  }

  Variable find_variable(std::string_view name, const Instruction& instruction, Scope& scope) {
    if (const auto known = scope.variables.find(name); known != scope.variables.end()) return known->second;
    if (const auto known = shared_.find(name); known != shared_.end()) return known->second;
    const auto declared = module_.shared.find(name);
    if (declared == module_.shared.end()) refuse(instruction);
    return shared_[name] = {Space::kShared, new_shared(declared->second)};
  }

  // `[%rd1+-8]`, `[name+8]`, `[name]`, `[%r1]`. Returns where a variable lies.
  Space decode_address(std::string_view text, Space space, const Instruction& instruction, Scope& scope, Op& op) {
    text = text.substr(1, text.size() - 2);
    const std::size_t plus = text.find('+');
    const std::string_view base = text.substr(0, plus);
    if (plus != std::string_view::npos) op.offset = static_cast<std::int64_t>(immediate(text.substr(plus + 1)));
    if (base[0] == '%') {
      op.slot[4] = operand(base, space == Space::kShared ? 'w' : 'd', instruction, scope);
      return space;
    }
    if (is_extern_shared(base)) {
      op.slot[4] = operand(base, 'w', instruction, scope);
      return Space::kShared;
    }
    const Variable variable = find_variable(base, instruction, scope);
    op.offset += static_cast<std::int64_t>(variable.offset);
    return variable.space;
  }

  void decode_memory(const Instruction& instruction, Scope& scope, Op& op) {
    const bool known = std::all_of(instruction.modifiers.begin(), instruction.modifiers.end(), [](std::string_view m) {
      return m == "global" || m == "shared" || m == "local" || m == "param" || m == "v2" || m == "v4" || m == "nc" ||
             m == "volatile" || type_bytes(m) > 0;
    });
    if (!known || instruction.operands.size() != 2) refuse(instruction);
    const bool is_load = instruction.opcode == "ld";
    Space space = instruction.has("global")   ? Space::kGlobal
                  : instruction.has("shared") ? Space::kShared
                  : instruction.has("local")  ? Space::kLocal
                  : instruction.has("param")  ? Space::kParameter
                                              : Space::kGeneric;
    space = decode_address(instruction.operands[is_load ? 1 : 0], space, instruction, scope, op);
    const std::string_view type = instruction.type();
    char letter = type_bytes(type) == 8 ? 'd' : 'w';
    const auto parts = vector_parts(instruction.operands[is_load ? 0 : 1]);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (is_load && parts[i] == "_") continue;
      const bool is_register = !is_number(parts[i]);
      if (is_register) letter = find_register(parts[i], instruction, scope).letter;
      op.slot[i] = operand(parts[i], letter, instruction, scope);
    }
    op.is_strong = instruction.has("volatile");
    op.parts = static_cast<std::uint8_t>(parts.size());
    op.bytes = static_cast<std::uint16_t>(parts.size() * type_bytes(type));
    op.execute = is_load ? load_operation(space, type, letter == 'd') : store_operation(space, type, letter == 'd');
  }

  void decode_atomic(const Instruction& instruction, Scope& scope, Op& op) {
    if (!instruction.has("global") || instruction.type() != "u32") refuse(instruction);
    op.slot[0] = operand(instruction.operands.at(0), 'w', instruction, scope);
    decode_address(instruction.operands.at(1), Space::kGlobal, instruction, scope, op);
    op.slot[1] = operand(instruction.operands.at(2), 'w', instruction, scope);
    op.bytes = 4;
    op.execute = atomic_operation(instruction.has("add")   ? "add"
                                  : instruction.has("min") ? "min"
                                  : instruction.has("max") ? "max"
                                                           : "");
    code_.has_atomics = true;
  }

  void decode_shuffle(const Instruction& instruction, Scope& scope, Op& op) {
    if (instruction.operands.size() != 5 || instruction.type() != "b32") refuse(instruction);
    const std::string_view results = instruction.operands[0];
    const std::size_t bar = results.find('|');
    op.slot[0] = operand(results.substr(0, bar), 'w', instruction, scope);
    op.slot[1] = bar == std::string_view::npos ? kFalse : operand(results.substr(bar + 1), 'p', instruction, scope);
    for (std::size_t i = 1; i < 5; ++i) op.slot[i + 1] = operand(instruction.operands[i], 'w', instruction, scope);
    op.execute = shuffle_operation(instruction.modifiers.at(1));
  }

  void decode_vote(const Instruction& instruction, Scope& scope, Op& op) {
    if (!instruction.has("ballot") || instruction.operands.size() != 3) refuse(instruction);
    op.slot[0] = operand(instruction.operands[0], 'w', instruction, scope);
    op.slot[1] = operand(instruction.operands[1], 'p', instruction, scope);
    op.slot[2] = operand(instruction.operands[2], 'w', instruction, scope);
    op.execute = &ballot;
  }

  void decode_product(const Instruction& instruction, Scope& scope, Op& op) {
    constexpr std::string_view kOnly = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32";
    if (!instruction.text.starts_with(kOnly)) refuse(instruction);
    op.target = static_cast<std::uint32_t>(code_.lists.size());
    for (const std::string_view tile : instruction.operands) {
      for (const std::string_view part : vector_parts(tile)) {
        code_.lists.push_back(operand(part, 'w', instruction, scope));
      }
    }
    if (code_.lists.size() != op.target + 14) refuse(instruction);
    op.execute = &multiply_tiles;
  }

  void decode_barrier(const Instruction& instruction, Scope& scope, Op& op) {
    if (instruction.has("warp")) {
      op.slot[0] = operand(instruction.operands.at(0), 'w', instruction, scope);
      op.execute = &warp_barrier;
      return;
    }
    op.slot[0] = operand(instruction.operands.at(0), 'w', instruction, scope);
    op.slot[1] = code_.threads;
    if (instruction.operands.size() > 1) op.slot[1] = operand(instruction.operands[1], 'w', instruction, scope);
    if (instruction.has("sync")) op.execute = &block_barrier;
  }

  void decode_branch(const Instruction& instruction, Scope& scope, Op& op) {
    scope.branches.emplace_back(position(), instruction.operands.at(0));
    op.execute = &branch;
  }

  void decode_return(const Instruction& instruction, Scope& scope, Op& op) {
    const bool ends = scope.is_entry || instruction.opcode == "exit";
    if (!ends) scope.returns.push_back(position());
    op.execute = ends ? &leave : &branch;
  }

  void decode_fence(const Instruction& instruction, Scope&, Op& op) {
    if (instruction.has("gl") || instruction.has("sys")) op.execute = &memory_fence;
  }

  // `call.uni (results), function, (arguments)`: the function's code follows, on the caller's variables.
  void decode_call(const Instruction& instruction, Scope& scope, int depth) {
    if (!instruction.guard.empty() || depth == kDeepestCall) refuse(instruction);
    const auto is_list = [](std::string_view text) { return text[0] == '('; };
    const auto name = std::find_if_not(instruction.operands.begin(), instruction.operands.end(), is_list);
    if (name == instruction.operands.end()) refuse(instruction);
    const auto function = module_.functions.find(*name);
    if (function == module_.functions.end()) refuse(instruction);
    Scope called;
    called.is_entry = false;
    for (auto list = instruction.operands.begin(); list != instruction.operands.end(); ++list) {
      if (list == name) continue;
      const auto& formal = list < name ? function->second.results : function->second.parameters;
      const auto actual = vector_parts(*list);
      if (actual.size() != formal.size()) refuse(instruction);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        called.variables[formal[i].name] = find_variable(actual[i], instruction, scope);
      }
    }
    decode_body(function->second, called, depth + 1);
  }

  const ModuleText& module_;
  Kernel& kernel_;
  Code code_;
  std::map<std::pair<std::uint64_t, char>, Slot> constants_;
  std::map<std::string_view, Variable> shared_;  // of the module
  std::vector<std::size_t> extern_uses_;         // constants that are addresses in dynamic shared memory
  std::size_t extern_alignment_ = 16;
};

}  // namespace

void decode(const ModuleText& module, const FunctionText& entry, Kernel& kernel) {
  kernel.name = entry.name;
  kernel.max_threads = entry.max_threads;
  Decoder(module, kernel).run(entry);
}

}  // namespace stampede::soft_gpu
