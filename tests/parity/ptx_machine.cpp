// SPDX-License-Identifier: Apache-2.0
#include "tests/parity/ptx_machine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace stampede::ptx {
namespace {

[[noreturn]] void refuse(const Instruction& instruction) {
  throw std::runtime_error("PTX: cannot execute '" + instruction.text + "'");
}

std::uint64_t low_bits(std::uint64_t value, int bits) {
  return bits == 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

std::int64_t sign_extended(std::uint64_t value, int bits) {
  return static_cast<std::int64_t>(value << (64 - bits)) >> (64 - bits);
}

template <class To, class From>
To bits_as(From from) {
  To to;
  static_assert(sizeof to <= sizeof from);
  std::memcpy(&to, &from, sizeof to);
  return to;
}

std::uint64_t real_bits(double value, int bits) {
  if (bits == 64) return bits_as<std::uint64_t>(value);
  return bits_as<std::uint32_t>(static_cast<float>(value));
}

bool compare_numbers(const std::string& relation, const auto& a, const auto& b, const Instruction& instruction) {
  if (relation == "eq") return a == b;
  if (relation == "ne") return a != b;
  if (relation == "lt" || relation == "lo") return a < b;
  if (relation == "le" || relation == "ls") return a <= b;
  if (relation == "gt" || relation == "hi") return a > b;
  if (relation == "ge" || relation == "hs") return a >= b;
  refuse(instruction);
}

// The relations of reals: eq ... ge are false for NaN, the ones that end in u are true.
bool compare_reals(const std::string& relation, double a, double b, const Instruction& instruction) {
  const bool unordered = std::isnan(a) || std::isnan(b);
  if (relation == "num") return !unordered;
  if (relation == "nan") return unordered;
  if (relation == "ne") return !unordered && a != b;
  if (relation.size() == 3) return unordered || compare_numbers(relation.substr(0, 2), a, b, instruction);
  return compare_numbers(relation, a, b, instruction);
}

int vector_size(const Instruction& instruction) { return instruction.has("v2") ? 2 : instruction.has("v4") ? 4 : 1; }

}  // namespace

Machine::Machine(const Kernel& kernel) : kernel_(kernel), registers_(static_cast<std::size_t>(kernel.registers)) {
  for (const Instruction& instruction : kernel.code) handlers_.push_back(handler_for(instruction));
  for (const Parameter& parameter : kernel.parameters) memory_[parameter.name].resize(parameter.bytes / 8 + 1);
  for (const auto& [name, bytes] : kernel.local) memory_[name].resize(bytes / 8 + 1);
}

void Machine::set_parameter(std::size_t i, const void* bytes, std::size_t size) {
  const Parameter& parameter = kernel_.parameters.at(i);
  if (parameter.bytes != size) {
    throw std::runtime_error("PTX: " + parameter.name + " has " + std::to_string(parameter.bytes) + " bytes, not " +
                             std::to_string(size));
  }
  std::memcpy(memory_.at(parameter.name).data(), bytes, size);
}

void Machine::run(unsigned block, unsigned threads_per_block, unsigned thread) {
  special_ = {{"%ctaid.x", block}, {"%ntid.x", threads_per_block}, {"%tid.x", thread}};
  for (next_ = 0; next_ < kernel_.code.size();) {
    const std::size_t at = next_++;
    const Instruction& instruction = kernel_.code[at];
    if (instruction.guard >= 0) {
      const bool holds = registers_[static_cast<std::size_t>(instruction.guard)] != 0;
      if (holds == instruction.guard_negated) continue;
    }
    (this->*handlers_[at])(instruction);
  }
}

Machine::Handler Machine::handler_for(const Instruction& instruction) {
  static const std::map<std::string, Handler> kHandlers = {
      {"ld", &Machine::load},        {"st", &Machine::store},        {"atom", &Machine::atomic_add},
      {"mov", &Machine::move},       {"cvta", &Machine::move},       {"add", &Machine::arithmetic},
      {"sub", &Machine::arithmetic}, {"mul", &Machine::arithmetic},  {"mad", &Machine::arithmetic},
      {"fma", &Machine::arithmetic}, {"div", &Machine::arithmetic},  {"rem", &Machine::arithmetic},
      {"rcp", &Machine::arithmetic}, {"sqrt", &Machine::arithmetic}, {"neg", &Machine::arithmetic},
      {"abs", &Machine::arithmetic}, {"min", &Machine::arithmetic},  {"max", &Machine::arithmetic},
      {"and", &Machine::logic},      {"or", &Machine::logic},        {"xor", &Machine::logic},
      {"not", &Machine::logic},      {"shl", &Machine::shift},       {"shr", &Machine::shift},
      {"prmt", &Machine::permute},   {"bfi", &Machine::bit_field},   {"bfe", &Machine::bit_field},
      {"cvt", &Machine::convert},    {"selp", &Machine::select},     {"setp", &Machine::compare},
      {"bra", &Machine::branch},     {"ret", &Machine::leave},       {"exit", &Machine::leave},
  };
  const auto found = kHandlers.find(instruction.op);
  if (found == kHandlers.end()) refuse(instruction);
  return found->second;
}

std::uint64_t Machine::address_of(const std::string& symbol) const {
  const auto found = memory_.find(symbol);
  if (found == memory_.end()) throw std::runtime_error("PTX: unknown symbol " + symbol);
  return reinterpret_cast<std::uint64_t>(found->second.data());
}

std::uint64_t Machine::read(const Operand& operand) const {
  switch (operand.kind) {
    case Operand::Kind::kRegister: {
      const std::uint64_t value = registers_[static_cast<std::size_t>(operand.index)];
      return operand.negated ? value == 0 : value;
    }
    case Operand::Kind::kImmediate:
      return operand.value;
    case Operand::Kind::kSpecial:
      return special_.at(operand.name);
    case Operand::Kind::kSymbol:
      return address_of(operand.name);
    case Operand::Kind::kAddress:
      return (operand.index < 0 ? address_of(operand.name) : registers_[static_cast<std::size_t>(operand.index)]) +
             operand.value;
    case Operand::Kind::kVector:
      break;
  }
  throw std::runtime_error("PTX: a vector where a scalar belongs");
}

std::uint64_t Machine::read_unsigned(const Instruction& instruction, std::size_t operand, Type type) const {
  return low_bits(read(instruction.operands.at(operand)), type.bits);
}

std::int64_t Machine::read_signed(const Instruction& instruction, std::size_t operand, Type type) const {
  return sign_extended(read(instruction.operands.at(operand)), type.bits);
}

double Machine::read_real(const Instruction& instruction, std::size_t operand, Type type) const {
  const std::uint64_t bits = read(instruction.operands.at(operand));
  return type.bits == 64 ? bits_as<double>(bits) : static_cast<double>(bits_as<float>(bits));
}

void Machine::write(const Instruction& instruction, std::uint64_t value) {
  registers_.at(static_cast<std::size_t>(instruction.operands.at(0).index)) = value;
}

void Machine::write_real(const Instruction& instruction, double value) {
  write(instruction, real_bits(value, instruction.type().bits));
}

void Machine::load(const Instruction& instruction) {
  const Type type = instruction.type();
  const auto bytes = static_cast<std::size_t>(type.bits / 8);
  const auto* memory = reinterpret_cast<const char*>(read(instruction.operands.at(1)));
  const Operand& to = instruction.operands.at(0);
  for (int k = 0; k < vector_size(instruction); ++k) {
    std::uint64_t value = 0;
    std::memcpy(&value, memory + static_cast<std::size_t>(k) * bytes, bytes);
    if (type.kind == 's') value = static_cast<std::uint64_t>(sign_extended(value, type.bits));
    const Operand& part = to.parts.empty() ? to : to.parts.at(static_cast<std::size_t>(k));
    registers_.at(static_cast<std::size_t>(part.index)) = value;
  }
}

void Machine::store(const Instruction& instruction) {
  const auto bytes = static_cast<std::size_t>(instruction.type().bits / 8);
  auto* memory = reinterpret_cast<char*>(read(instruction.operands.at(0)));
  const Operand& from = instruction.operands.at(1);
  for (int k = 0; k < vector_size(instruction); ++k) {
    const std::uint64_t value = read(from.parts.empty() ? from : from.parts.at(static_cast<std::size_t>(k)));
    std::memcpy(memory + static_cast<std::size_t>(k) * bytes, &value, bytes);
  }
}

void Machine::atomic_add(const Instruction& instruction) {
  const Type type = instruction.type();
  if (!instruction.has("add") || type.kind == 'f') refuse(instruction);
  const auto bytes = static_cast<std::size_t>(type.bits / 8);
  auto* memory = reinterpret_cast<char*>(read(instruction.operands.at(1)));
  std::uint64_t old = 0;
  std::memcpy(&old, memory, bytes);
  const std::uint64_t sum = old + read(instruction.operands.at(2));
  std::memcpy(memory, &sum, bytes);
  write(instruction, old);
}

void Machine::move(const Instruction& instruction) { write(instruction, read(instruction.operands.at(1))); }

void Machine::arithmetic(const Instruction& instruction) {
  if (instruction.type().kind == 'f') return real_arithmetic(instruction);
  integer_arithmetic(instruction);
}

void Machine::integer_arithmetic(const Instruction& instruction) {
  const Type type = instruction.type();
  const bool is_signed = type.kind == 's';
  __int128 v[3] = {};
  for (std::size_t k = 1; k < instruction.operands.size(); ++k) {
    const bool wide_addend = k == 3 && instruction.has("wide");
    const Type of = wide_addend ? Type{type.kind, 2 * type.bits} : type;
    v[k - 1] = is_signed ? static_cast<__int128>(read_signed(instruction, k, of))
                         : static_cast<__int128>(read_unsigned(instruction, k, of));
  }
  const std::string& op = instruction.op;
  __int128 result = 0;
  if (op == "add") result = v[0] + v[1];
  if (op == "sub") result = v[0] - v[1];
  if (op == "mul" || op == "mad") {
    result = v[0] * v[1];
    if (instruction.has("hi")) result >>= type.bits;
    result += v[2];
  }
  if (op == "div" || op == "rem") {
    if (v[1] == 0) refuse(instruction);
    result = op == "div" ? v[0] / v[1] : v[0] % v[1];
  }
  if (op == "neg") result = -v[0];
  if (op == "abs") result = v[0] < 0 ? -v[0] : v[0];
  if (op == "min") result = v[0] < v[1] ? v[0] : v[1];
  if (op == "max") result = v[0] > v[1] ? v[0] : v[1];
  if (op == "fma" || op == "rcp" || op == "sqrt") refuse(instruction);
  write(instruction, low_bits(static_cast<std::uint64_t>(result), instruction.has("wide") ? 2 * type.bits : type.bits));
}

// Each operation is done in the operands' own precision: computing floats in double would round twice.
template <class Real>
Real compute_real(const Instruction& instruction, Real a, Real b, Real c) {
  const std::string& op = instruction.op;
  if (op == "neg") return -a;
  if (op == "abs") return std::fabs(a);
  if (op == "min") return std::fmin(a, b);
  if (op == "max") return std::fmax(a, b);
  if (!instruction.has("rn") || instruction.has("ftz") || instruction.has("sat")) refuse(instruction);
  if (op == "add") return a + b;
  if (op == "sub") return a - b;
  if (op == "mul") return a * b;
  if (op == "div") return a / b;
  if (op == "fma") return std::fma(a, b, c);
  if (op == "rcp") return Real{1} / a;
  if (op == "sqrt") return std::sqrt(a);
  refuse(instruction);
}

void Machine::real_arithmetic(const Instruction& instruction) {
  const Type type = instruction.type();
  double v[3] = {};
  for (std::size_t k = 1; k < instruction.operands.size(); ++k) v[k - 1] = read_real(instruction, k, type);
  if (type.bits == 64) return write_real(instruction, compute_real(instruction, v[0], v[1], v[2]));
  write_real(instruction, static_cast<double>(compute_real(instruction, static_cast<float>(v[0]),
                                                           static_cast<float>(v[1]), static_cast<float>(v[2]))));
}

void Machine::logic(const Instruction& instruction) {
  const Type type = instruction.type();
  const std::uint64_t a = read_unsigned(instruction, 1, type);
  if (instruction.op == "not") return write(instruction, low_bits(~a, type.bits));
  const std::uint64_t b = read_unsigned(instruction, 2, type);
  write(instruction, instruction.op == "and" ? a & b : instruction.op == "or" ? a | b : a ^ b);
}

void Machine::shift(const Instruction& instruction) {
  const Type type = instruction.type();
  const auto amount = static_cast<int>(std::min<std::uint64_t>(read_unsigned(instruction, 2, {'u', 32}), 63));
  const bool out = amount >= type.bits;  // PTX clamps the amount to the width
  if (instruction.op == "shl") {
    return write(instruction, out ? 0 : low_bits(read_unsigned(instruction, 1, type) << amount, type.bits));
  }
  if (type.kind == 's') {
    const std::int64_t value = read_signed(instruction, 1, type) >> (out ? type.bits - 1 : amount);
    return write(instruction, low_bits(static_cast<std::uint64_t>(value), type.bits));
  }
  write(instruction, out ? 0 : read_unsigned(instruction, 1, type) >> amount);
}

// Picks four bytes of the eight of {b, a}, by the four nibbles of the selector.
void Machine::permute(const Instruction& instruction) {
  if (instruction.modifiers.size() != 1) refuse(instruction);
  const std::uint64_t bytes = read_unsigned(instruction, 1, {}) | read_unsigned(instruction, 2, {}) << 32;
  const std::uint64_t selector = read_unsigned(instruction, 3, {});
  std::uint64_t result = 0;
  for (int k = 0; k < 4; ++k) {
    const std::uint64_t nibble = selector >> (4 * k) & 15;
    std::uint64_t byte = bytes >> (8 * (nibble & 7)) & 255;
    if (nibble & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * k);
  }
  write(instruction, result);
}

void Machine::bit_field(const Instruction& instruction) {
  const Type type = instruction.type();
  const bool insert = instruction.op == "bfi";
  if (!insert && type.kind == 's') refuse(instruction);
  const std::size_t first = insert ? 3 : 2;
  const std::uint64_t position = read_unsigned(instruction, first, {'u', 8});
  const std::uint64_t length = read_unsigned(instruction, first + 1, {'u', 8});
  if (position >= 64 || length >= 64) refuse(instruction);
  const std::uint64_t mask = (std::uint64_t{1} << length) - 1;
  const std::uint64_t a = read_unsigned(instruction, 1, type);
  if (!insert) return write(instruction, a >> position & mask);
  const std::uint64_t b = read_unsigned(instruction, 2, type);
  write(instruction, low_bits((b & ~(mask << position)) | (a & mask) << position, type.bits));
}

namespace {

double rounded(const Instruction& instruction, double value) {
  if (instruction.has("rzi")) return std::trunc(value);
  if (instruction.has("rmi")) return std::floor(value);
  if (instruction.has("rpi")) return std::ceil(value);
  if (instruction.has("rni")) return std::nearbyint(value);
  return value;
}

// To an integer, PTX saturates and turns NaN into 0.
std::uint64_t saturated(double value, Type type) {
  if (std::isnan(value)) return 0;
  const double low = type.kind == 's' ? -std::ldexp(1.0, type.bits - 1) : 0.0;
  const double high = std::ldexp(1.0, type.kind == 's' ? type.bits - 1 : type.bits);
  if (value <= low) return low_bits(static_cast<std::uint64_t>(static_cast<std::int64_t>(low)), type.bits);
  if (value >= high) return low_bits(~std::uint64_t{0}, type.kind == 's' ? type.bits - 1 : type.bits);
  if (type.kind == 'u') return static_cast<std::uint64_t>(value);
  return low_bits(static_cast<std::uint64_t>(static_cast<std::int64_t>(value)), type.bits);
}

}  // namespace

void Machine::convert(const Instruction& instruction) {
  if (instruction.types.size() != 2 || instruction.has("ftz") || instruction.has("sat")) refuse(instruction);
  const Type to = instruction.types[0], from = instruction.types[1];
  if (from.kind == 'f') {
    const double value = rounded(instruction, read_real(instruction, 1, from));
    if (to.kind == 'f') return write(instruction, real_bits(value, to.bits));
    return write(instruction, saturated(value, to));
  }
  const std::int64_t as_signed = read_signed(instruction, 1, from);
  const std::uint64_t as_unsigned = read_unsigned(instruction, 1, from);
  if (to.kind == 'f') {
    if (!instruction.has("rn")) refuse(instruction);
    if (to.bits == 64)
      return write(instruction, real_bits(from.kind == 's' ? double(as_signed) : double(as_unsigned), 64));
    const float value = from.kind == 's' ? static_cast<float>(as_signed) : static_cast<float>(as_unsigned);
    return write(instruction, bits_as<std::uint32_t>(value));
  }
  write(instruction, low_bits(from.kind == 's' ? static_cast<std::uint64_t>(as_signed) : as_unsigned, to.bits));
}

void Machine::select(const Instruction& instruction) {
  write(instruction, read(instruction.operands.at(read(instruction.operands.at(3)) != 0 ? 1 : 2)));
}

void Machine::compare(const Instruction& instruction) {
  const Type type = instruction.type();
  const std::string& relation = instruction.modifiers.front();
  bool holds = false;
  if (type.kind == 'f') {
    holds = compare_reals(relation, read_real(instruction, 1, type), read_real(instruction, 2, type), instruction);
  } else if (type.kind == 's') {
    holds =
        compare_numbers(relation, read_signed(instruction, 1, type), read_signed(instruction, 2, type), instruction);
  } else {
    holds = compare_numbers(relation, read_unsigned(instruction, 1, type), read_unsigned(instruction, 2, type),
                            instruction);
  }
  if (instruction.operands.size() == 4) {
    const bool other = read(instruction.operands[3]) != 0;
    if (instruction.has("and")) holds = holds && other;
    if (instruction.has("or")) holds = holds || other;
    if (instruction.has("xor")) holds = holds != other;
  }
  write(instruction, holds);
}

void Machine::branch(const Instruction& instruction) { next_ = instruction.target; }

void Machine::leave(const Instruction&) { next_ = kernel_.code.size(); }

}  // namespace stampede::ptx
