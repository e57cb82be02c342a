// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/decoder.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/soft_gpu/fault.h"
#include "tests/soft_gpu/kernel_builder.h"
#include "tests/soft_gpu/lanes.h"

namespace stampede::soft_gpu {
namespace {

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

class Decoder {
 public:
  Decoder(const ModuleText& module, Kernel& kernel) : builder_(module, kernel) {}

  void run(const FunctionText& entry) {
    Scope scope;
    for (const Declaration& parameter : entry.parameters) builder_.add_parameter(parameter, scope);
    decode_body(entry, scope, 0);
    builder_.finish();
  }

 private:
  [[noreturn]] static void refuse(const Instruction& instruction) { KernelBuilder::refuse(instruction); }

  Slot operand(std::string_view text, char letter, const Instruction& instruction, Scope& scope) {
    return builder_.operand(text, letter, instruction, scope);
  }

  void decode_body(const FunctionText& function, Scope& scope, int depth) {
    std::uint32_t used_bytes = 0xFFFFFFFFu;
    for (const Statement& statement : parse_body(function)) {
      if (statement.kind == Statement::Kind::kLabel) scope.labels[statement.label] = builder_.position();
      if (statement.kind == Statement::Kind::kDeclaration) builder_.declare(statement.declaration, scope);
      if (statement.kind == Statement::Kind::kUsedBytes) used_bytes = statement.used_bytes;
      if (statement.kind != Statement::Kind::kInstruction) continue;
      decode(statement.instruction, scope, depth);
      if (statement.instruction.opcode == "ld") builder_.code().ops.back().used_bytes = used_bytes;
      used_bytes = 0xFFFFFFFFu;
    }
    builder_.close(scope);
  }

  void decode(const Instruction& instruction, Scope& scope, int depth) {
    if (instruction.opcode == "call") return decode_call(instruction, scope, depth);
    Op op;
    op.line = instruction.line;
    if (!instruction.guard.empty()) {
      op.guard = static_cast<std::int32_t>(operand(instruction.guard, 'p', instruction, scope));
      op.guard_negated = instruction.guard_negated;
    }
    uses_ = {};
    if (!decode_special(instruction, scope, op)) decode_plain(instruction, scope, op);
    if (op.execute == nullptr) refuse(instruction);
    builder_.add(op, uses_, instruction.text);
  }

  // Instructions of a form of their own.
  bool decode_special(const Instruction& instruction, Scope& scope, Op& op) {
    using Form = void (Decoder::*)(const Instruction&, Scope&, Op&);
    static const std::map<std::string_view, Form> kForms = {
        {"ld", &Decoder::decode_memory},    {"st", &Decoder::decode_memory},    {"atom", &Decoder::decode_atomic},
        {"shfl", &Decoder::decode_shuffle}, {"vote", &Decoder::decode_vote},    {"mma", &Decoder::decode_product},
        {"bar", &Decoder::decode_barrier},  {"bra", &Decoder::decode_branch},   {"ret", &Decoder::decode_return},
        {"exit", &Decoder::decode_return},  {"membar", &Decoder::decode_fence}, {"ldmatrix", &Decoder::decode_matrices},
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
    const std::size_t results = name == "mov.split" ? 2 : 1;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const char letter = found->second.operands[i];
      op.slot[i] = operand(operands[i], letter, instruction, scope);
      if (letter != 'p') (i < results ? uses_.writes : uses_.reads) |= 1u << i;
    }
  }

  // `[%rd1+-8]`, `[name+8]`, `[name]`, `[%r1]`. Returns where a variable lies.
  Space decode_address(std::string_view text, Space space, const Instruction& instruction, Scope& scope, Op& op) {
    text = text.substr(1, text.size() - 2);
    const std::size_t plus = text.find('+');
    const std::string_view base = text.substr(0, plus);
    if (plus != std::string_view::npos) op.offset = static_cast<std::int64_t>(immediate(text.substr(plus + 1)));
    if (base[0] == '%') {
      op.slot[4] = operand(base, space == Space::kShared ? 'w' : 'd', instruction, scope);
      uses_.reads |= 0b10000;
      return space;
    }
    if (builder_.is_extern_shared(base)) {
      op.slot[4] = operand(base, 'w', instruction, scope);
      uses_.reads |= 0b10000;
      return Space::kShared;
    }
    const Variable variable = builder_.find_variable(base, instruction, scope);
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
      if (is_register) letter = builder_.find_register(parts[i], instruction, scope).letter;
      op.slot[i] = operand(parts[i], letter, instruction, scope);
      (is_load ? uses_.writes : uses_.reads) |= 1u << i;
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
    uses_.writes = 0b1;
    uses_.reads |= 0b10;
    op.bytes = 4;
    op.execute = atomic_operation(instruction.has("add")   ? "add"
                                  : instruction.has("min") ? "min"
                                  : instruction.has("max") ? "max"
                                                           : "");
    builder_.code().has_atomics = true;
  }

  void decode_shuffle(const Instruction& instruction, Scope& scope, Op& op) {
    if (instruction.operands.size() != 5 || instruction.type() != "b32") refuse(instruction);
    const std::string_view results = instruction.operands[0];
    const std::size_t bar = results.find('|');
    op.slot[0] = operand(results.substr(0, bar), 'w', instruction, scope);
    op.slot[1] = bar == std::string_view::npos ? kFalse : operand(results.substr(bar + 1), 'p', instruction, scope);
    for (std::size_t i = 1; i < 5; ++i) op.slot[i + 1] = operand(instruction.operands[i], 'w', instruction, scope);
    uses_ = {0b111100, 0b1};
    op.execute = shuffle_operation(instruction.modifiers.at(1));
  }

  void decode_vote(const Instruction& instruction, Scope& scope, Op& op) {
    if (!instruction.has("ballot") || instruction.operands.size() != 3) refuse(instruction);
    op.slot[0] = operand(instruction.operands[0], 'w', instruction, scope);
    op.slot[1] = operand(instruction.operands[1], 'p', instruction, scope);
    op.slot[2] = operand(instruction.operands[2], 'w', instruction, scope);
    uses_ = {0b100, 0b1};
    op.execute = &ballot;
  }

  void decode_product(const Instruction& instruction, Scope& scope, Op& op) {
    constexpr std::string_view kOnly = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32";
    if (!instruction.text.starts_with(kOnly) || op.guard >= 0) refuse(instruction);
    op.target = static_cast<std::uint32_t>(builder_.code().lists.size());
    for (const std::string_view tile : instruction.operands) {
      for (const std::string_view part : vector_parts(tile)) {
        builder_.code().lists.push_back(operand(part, 'w', instruction, scope));
      }
    }
    if (builder_.code().lists.size() != op.target + 14) refuse(instruction);
    op.execute = &multiply_tiles;
  }

  void decode_matrices(const Instruction& instruction, Scope& scope, Op& op) {
    const bool transposed = instruction.text.starts_with("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16");
    const bool known = transposed || instruction.text.starts_with("ldmatrix.sync.aligned.m8n8.x4.shared.b16");
    if (!known || op.guard >= 0 || instruction.operands.size() != 2) refuse(instruction);
    const auto results = vector_parts(instruction.operands[0]);
    if (results.size() != 4) refuse(instruction);
    for (std::size_t i = 0; i < 4; ++i) op.slot[i] = operand(results[i], 'w', instruction, scope);
    uses_.writes = 0b1111;
    decode_address(instruction.operands[1], Space::kShared, instruction, scope, op);
    op.bytes = 16;
    op.execute = matrix_load_operation(transposed);
  }

  void decode_barrier(const Instruction& instruction, Scope& scope, Op& op) {
    if (instruction.has("warp")) {
      op.slot[0] = operand(instruction.operands.at(0), 'w', instruction, scope);
      uses_.reads = 0b1;
      op.execute = &warp_barrier;
      return;
    }
    op.slot[0] = operand(instruction.operands.at(0), 'w', instruction, scope);
    op.slot[1] = builder_.code().threads;
    if (instruction.operands.size() > 1) op.slot[1] = operand(instruction.operands[1], 'w', instruction, scope);
    uses_.reads = 0b11;
    if (instruction.has("sync")) op.execute = &block_barrier;
  }

  void decode_branch(const Instruction& instruction, Scope& scope, Op& op) {
    scope.branches.emplace_back(builder_.position(), instruction.operands.at(0));
    op.execute = &branch;
  }

  void decode_return(const Instruction& instruction, Scope& scope, Op& op) {
    const bool ends = scope.is_entry || instruction.opcode == "exit";
    if (!ends) scope.returns.push_back(builder_.position());
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
    const auto function = builder_.module().functions.find(*name);
    if (function == builder_.module().functions.end()) refuse(instruction);
    Scope called;
    called.is_entry = false;
    for (auto list = instruction.operands.begin(); list != instruction.operands.end(); ++list) {
      if (list == name) continue;
      const auto& formal = list < name ? function->second.results : function->second.parameters;
      const auto actual = vector_parts(*list);
      if (actual.size() != formal.size()) refuse(instruction);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        called.variables[formal[i].name] = builder_.find_variable(actual[i], instruction, scope);
      }
    }
    decode_body(function->second, called, depth + 1);
  }

  KernelBuilder builder_;
  SlotUses uses_;  // of the instruction that is decoded
};

}  // namespace

void decode(const ModuleText& module, const FunctionText& entry, Kernel& kernel) {
  kernel.name = entry.name;
  kernel.max_threads = entry.max_threads;
  Decoder(module, kernel).run(entry);
}

}  // namespace stampede::soft_gpu
