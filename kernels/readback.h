// SPDX-License-Identifier: Apache-2.0
// Copies of device memory that the host asks for now and looks at later, so that neither waits for the other.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "kernels/stream.h"
#include "kernels/view.h"

namespace stampede {

// Host memory for copies, page-locked where the device is CUDA.
class ReadbackBytes {
 public:
  ReadbackBytes() = default;
  ReadbackBytes(ReadbackBytes&& other) noexcept { *this = std::move(other); }
  // By exchange: what may still be copied into is not freed here.
  ReadbackBytes& operator=(ReadbackBytes&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(event_, other.event_);
    std::swap(capacity_, other.capacity_);
    std::swap(size_, other.size_);
    return *this;
  }
  // Enqueues a copy of the bytes as earlier work leaves them; later work may overwrite them. On a CPU stream the copy
  // is made at once. Replaces what was requested before. Throws RuntimeError when the copy has no room on the host.
  void request(const Stream& stream, const void* device, std::size_t bytes);
  // The bytes of the latest request, until the next one; null before the first. Waits for that copy alone.
  const void* wait(const Stream& stream) const;
  std::size_t size() const { return size_; }

 private:
  void reserve(const Stream& stream, std::size_t bytes);

  using Owned = std::unique_ptr<void, void (*)(void*)>;
  Owned memory_{nullptr, nullptr}, event_{nullptr, nullptr};
  std::size_t capacity_ = 0, size_ = 0;
};

template <class T>
class Readback {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  void request(const Stream& stream, View<T> view) { request(stream, View<const T>{view.data, {view.size()}}); }
  void request(const Stream& stream, View<const T> view) { bytes_.request(stream, view.data, view.size() * sizeof(T)); }
  std::span<const T> wait(const Stream& stream) const {
    return {static_cast<const T*>(bytes_.wait(stream)), bytes_.size() / sizeof(T)};
  }

 private:
  ReadbackBytes bytes_;
};

}  // namespace stampede
