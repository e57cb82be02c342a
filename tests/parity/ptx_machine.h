// SPDX-License-Identifier: Apache-2.0
// Executes one thread of a PTX kernel on the CPU, in IEEE arithmetic: what a GPU must compute, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/parity/ptx_program.h"

namespace stampede::ptx {

// Pointers in parameters are host addresses. For kernels whose threads do not cooperate: no shared memory, no barriers.
// Floating-point instructions must round to nearest (.rn); anything approximate or contractible is refused.
class Machine {
 public:
  // Throws std::runtime_error for an instruction that it does not know.
  explicit Machine(const Kernel& kernel);

  // The bytes of parameter i. Throws std::runtime_error when the size differs from the kernel's own.
  void set_parameter(std::size_t i, const void* bytes, std::size_t size);
  void run(unsigned block, unsigned threads_per_block, unsigned thread);

 private:
  using Handler = void (Machine::*)(const Instruction&);

  static Handler handler_for(const Instruction& instruction);
  std::uint64_t address_of(const std::string& symbol) const;
  std::uint64_t read(const Operand& operand) const;
  std::uint64_t read_unsigned(const Instruction& instruction, std::size_t operand, Type type) const;
  std::int64_t read_signed(const Instruction& instruction, std::size_t operand, Type type) const;
  double read_real(const Instruction& instruction, std::size_t operand, Type type) const;
  void write(const Instruction& instruction, std::uint64_t value);
  void write_real(const Instruction& instruction, double value);

  void load(const Instruction&);
  void store(const Instruction&);
  void atomic_add(const Instruction&);
  void move(const Instruction&);
  void arithmetic(const Instruction&);
  void integer_arithmetic(const Instruction&);
  void real_arithmetic(const Instruction&);
  void logic(const Instruction&);
  void shift(const Instruction&);
  void permute(const Instruction&);
  void bit_field(const Instruction&);
  void convert(const Instruction&);
  void select(const Instruction&);
  void compare(const Instruction&);
  void branch(const Instruction&);
  void leave(const Instruction&);

  const Kernel& kernel_;
  std::vector<Handler> handlers_;
  std::vector<std::uint64_t> registers_;
  std::map<std::string, std::vector<std::uint64_t>> memory_;  // parameters and local arrays
  std::map<std::string, unsigned> special_;
  std::size_t next_ = 0;
};

}  // namespace stampede::ptx
