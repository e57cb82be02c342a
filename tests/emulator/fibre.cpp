// SPDX-License-Identifier: Apache-2.0
#include "tests/emulator/fibre.h"

#include <cstdint>
#include <cstring>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef __x86_64__
#error "the fibre switch is written for x86-64"
#endif

// Saves the callee-saved registers and the floating-point control words on the current stack, then does the reverse on
// the other one. A fresh stack is laid out so that the return address is simt_fibre_entry and rbx holds the fibre.
extern "C" void simt_switch_stack(void** save, void* load);
asm(R"(
.text
.type simt_switch_stack,@function
simt_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch_stack,.-simt_switch_stack

.type simt_fibre_entry,@function
simt_fibre_entry:
  movq %rbx, %rdi
  call simt_enter_fibre
  ud2
.size simt_fibre_entry,.-simt_fibre_entry
)");
extern "C" void simt_fibre_entry();

namespace simt {
namespace {

constexpr std::uint64_t kCanary = 0x5afe57ac5afe57acull;
constexpr std::uint64_t kDefaultControlWords = 0x1f80ull | (0x037full << 32);  // mxcsr, x87 control word

}  // namespace

void enter_fibre(Fibre* fibre) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &fibre->caller_bottom_, &fibre->caller_bytes_);
#endif
  (*fibre->body_)();
}

Fibre::Fibre() : stack_(new std::byte[kStackBytes]) {}

void Fibre::start(const std::function<void()>& body) {
  body_ = &body;
  std::memcpy(stack_.get(), &kCanary, sizeof kCanary);
  const auto top = (reinterpret_cast<std::uintptr_t>(stack_.get()) + kStackBytes) & ~std::uintptr_t{15};
  // From low to high: control words, r15, r14, r13, r12, rbx, rbp, return address. The entry runs 16-byte aligned.
  auto* frame = reinterpret_cast<std::uint64_t*>(top) - 10;
  std::memset(frame, 0, 10 * sizeof *frame);
  frame[0] = kDefaultControlWords;
  frame[5] = reinterpret_cast<std::uint64_t>(this);
  frame[7] = reinterpret_cast<std::uint64_t>(&simt_fibre_entry);
  own_stack_pointer_ = frame;
  own_shadow_ = nullptr;
}

void Fibre::resume() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&caller_shadow_, stack_.get(), kStackBytes);
#endif
  simt_switch_stack(&caller_stack_pointer_, own_stack_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(caller_shadow_, nullptr, nullptr);
#endif
}

void Fibre::yield() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&own_shadow_, caller_bottom_, caller_bytes_);
#endif
  simt_switch_stack(&own_stack_pointer_, caller_stack_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(own_shadow_, &caller_bottom_, &caller_bytes_);
#endif
}

bool Fibre::stack_intact() const { return std::memcmp(stack_.get(), &kCanary, sizeof kCanary) == 0; }

}  // namespace simt

extern "C" void simt_enter_fibre(simt::Fibre* fibre) { simt::enter_fibre(fibre); }
