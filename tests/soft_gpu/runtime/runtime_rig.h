// SPDX-License-Identifier: Apache-2.0
// Streams, memory and readings for tests of the software runtime; every test starts with a device of its own.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "tests/soft_gpu/runtime/control.h"

namespace stampede::soft_gpu {

inline constexpr std::uint32_t kPoisonWord = 0xffffffffu;

class SoftRuntimeTest : public testing::Test {
 protected:
  void SetUp() override { reset_device(); }
  void TearDown() override { reset_device(); }

  static cudaStream_t make_stream(unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t stream = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, flags), cudaSuccess);
    return stream;
  }
  // `words` words on the device, all zero.
  static std::uint32_t* make_words(std::size_t words = 1) {
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, words * 4), cudaSuccess);
    EXPECT_EQ(cudaMemset(memory, 0, words * 4), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    return static_cast<std::uint32_t*>(memory);
  }
  static std::uint32_t* make_pinned(std::uint32_t value) {
    void* memory = nullptr;
    EXPECT_EQ(cudaMallocHost(&memory, 4), cudaSuccess);
    auto* const word = static_cast<std::uint32_t*>(memory);
    *word = value;
    return word;
  }
  // The word when everything on that stream has been done.
  static std::uint32_t read(const std::uint32_t* device, cudaStream_t stream) {
    std::uint32_t value = 0;
    EXPECT_EQ(cudaMemcpyAsync(&value, device, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
    return value;
  }
};

}  // namespace stampede::soft_gpu
