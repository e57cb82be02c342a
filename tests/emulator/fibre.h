// SPDX-License-Identifier: Apache-2.0
// A fibre: a function with its own stack that can stop in the middle and be resumed; x86-64 System V only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace simt {

// Switches only happen between resume()'s caller and the fibre, on one operating system thread.
class Fibre {
 public:
  static constexpr std::size_t kStackBytes = 64 * 1024;

  Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  // Makes resume() begin `body`, which must not throw and must end by yielding for ever (it has nowhere to return to).
  void start(const std::function<void()>& body);
  // Runs the fibre until its next yield().
  void resume();
  // Back to resume()'s caller; called on the fibre's own stack.
  void yield();
  // False when the body has written beyond the end of its stack.
  bool stack_intact() const;

 private:
  friend void enter_fibre(Fibre* fibre);

  std::unique_ptr<std::byte[]> stack_;
  const std::function<void()>* body_ = nullptr;
  void* own_stack_pointer_ = nullptr;
  void* caller_stack_pointer_ = nullptr;
  void* own_shadow_ = nullptr;  // AddressSanitizer's bookkeeping of the two stacks
  void* caller_shadow_ = nullptr;
  const void* caller_bottom_ = nullptr;
  std::size_t caller_bytes_ = 0;
};

}  // namespace simt
