// SPDX-License-Identifier: Apache-2.0
// Buffer owns device memory; copies between devices are spelled out and easy to find.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace stampede {

// Zeroed memory, aligned to 64 bytes; large CPU blocks are aligned to and advised for 2 MiB pages.
// Throws RuntimeError, naming the size, when the device has not that much memory.
void* allocate_memory(Device device, std::size_t bytes);
void free_memory(Device device, void* memory) noexcept;

// Bytes from device to host (the only way down beside kernels/readback.h) and from host to device. Both wait for the
// stream.
void copy_to_host(const Stream& stream, void* host, const void* device, std::size_t bytes);
void copy_to_device(const Stream& stream, void* device, const void* host, std::size_t bytes);
// Between two blocks of the stream's device; stream-ordered; the ranges must not overlap.
void copy_on_device(const Stream& stream, void* to, const void* from, std::size_t bytes);
void fill_zero(const Stream& stream, void* memory, std::size_t bytes);

// Owns count elements and moves; never copies implicitly.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  Buffer(Device device, std::size_t count)
      : device_(device), data_(static_cast<T*>(allocate_memory(device, count * sizeof(T)))), size_(count) {}
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { free_memory(device_, data_); }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }
  View<T> view() const { return {data_, {size_}}; }

 private:
  Device device_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

template <class T>
std::vector<T> to_host(const Stream& stream, View<T> view) {
  std::vector<T> host(view.size());
  copy_to_host(stream, host.data(), view.data, host.size() * sizeof(T));
  return host;
}

}  // namespace stampede
