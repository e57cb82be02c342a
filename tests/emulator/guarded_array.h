// SPDX-License-Identifier: Apache-2.0
// Device memory for emulated kernels: aligned, with guard zones on both sides that show a stray write.
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "tests/emulator/simt.h"

namespace simt {

// The guards are NaN, so that a stray read of floats that counts shows as well; under AddressSanitizer every one does.
template <class T>
class GuardedArray {
 public:
  explicit GuardedArray(const std::vector<T>& values)
      : size_(values.size()), memory_(values.size() * sizeof(T) + 2 * kGuardBytes + kAlignment, kPattern) {
    if (size_ > 0) std::memcpy(data(), values.data(), size_ * sizeof(T));
#ifdef __SANITIZE_ADDRESS__
    protect();
#endif
  }
#ifdef __SANITIZE_ADDRESS__
  ~GuardedArray() { __asan_unpoison_memory_region(memory_.data(), memory_.size()); }
#endif
  GuardedArray(const GuardedArray&) = delete;  // a copy's memory is aligned differently
  GuardedArray& operator=(const GuardedArray&) = delete;
  GuardedArray(std::size_t size, T value) : GuardedArray(std::vector<T>(size, value)) {}

  T* data() {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data()) + kGuardBytes;
    return reinterpret_cast<T*>((address + kAlignment - 1) / kAlignment * kAlignment);
  }
  // A copy of the elements. Throws Error when a guard zone was written.
  std::vector<T> values() {
#ifdef __SANITIZE_ADDRESS__
    return std::vector<T>(data(), data() + size_);
#else
    const auto* begin = reinterpret_cast<const unsigned char*>(data());
    const auto* end = begin + size_ * sizeof(T);
    for (const unsigned char* p = memory_.data(); p != memory_.data() + memory_.size(); ++p) {
      if ((p < begin || p >= end) && *p != kPattern) throw Error("a write went beyond the ends of an array");
    }
    return std::vector<T>(data(), data() + size_);
#endif
  }

 private:
#ifdef __SANITIZE_ADDRESS__
  void protect() {
    __asan_poison_memory_region(memory_.data(), memory_.size());
    __asan_unpoison_memory_region(data(), size_ * sizeof(T));
  }
#endif

  static constexpr std::size_t kGuardBytes = 1024;
  static constexpr std::size_t kAlignment = 64;
  static constexpr unsigned char kPattern = 0xff;

  std::size_t size_;
  std::vector<unsigned char> memory_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace simt
