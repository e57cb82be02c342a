// SPDX-License-Identifier: Apache-2.0
// An array in a stream's memory that tests fill from and read back into host vectors, and the streams to compare.
#pragma once

#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/buffer.h"

namespace stampede {

template <class T>
class DeviceArray {
 public:
  DeviceArray(const Stream& stream, const std::vector<T>& values)
      : stream_(stream), buffer_(stream.device(), values.size()) {
    copy_to_device(stream, buffer_.data(), values.data(), values.size() * sizeof(T));
  }
  DeviceArray(const Stream& stream, std::size_t size) : DeviceArray(stream, std::vector<T>(size)) {}

  T* data() const { return buffer_.data(); }
  std::vector<T> values() const { return to_host(stream_, buffer_.view()); }

 private:
  Stream stream_;
  Buffer<T> buffer_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// The software device (tests/soft_gpu) is a thousand times slower than a GPU: tests of whole trainings take less there.
inline bool on_software_device() { return std::getenv("STAMPEDE_SOFT_GPU") != nullptr; }

// What a CPU stream with one thread is compared with: two threads always, and CUDA where there is a GPU.
inline std::vector<Stream> streams_to_compare() {
  std::vector<Stream> streams{Stream::cpu(2)};
  if (cuda_unavailable_reason().empty()) streams.push_back(Stream::cuda());
  return streams;
}

}  // namespace stampede
