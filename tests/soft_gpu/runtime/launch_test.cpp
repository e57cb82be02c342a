// SPDX-License-Identifier: Apache-2.0
// What the software runtime refuses to launch, and what becomes of the device after a fault.
#include "tests/soft_gpu/runtime/hand_written_kernels.h"
#include "tests/soft_gpu/runtime/runtime_rig.h"

namespace stampede::soft_gpu {
namespace {

class SoftLaunch : public SoftRuntimeTest {
 protected:
  cudaError_t launch(HandWritten kernel, unsigned grid, unsigned block, std::size_t shared = 0) {
    return launch_store(kernel, stream_, 1, words_, grid, block, shared);
  }

  cudaStream_t stream_ = nullptr;
  std::uint32_t* words_ = nullptr;

  void SetUp() override {
    SoftRuntimeTest::SetUp();
    stream_ = make_stream();
    words_ = make_words(1024);
  }
};

TEST_F(SoftLaunch, EveryThreadOfEveryBlockRuns) {
  ASSERT_EQ(launch(HandWritten::kStore, 8, 128), cudaSuccess);
  EXPECT_EQ(read(words_, stream_), 1u);
  EXPECT_EQ(read(words_ + 1023, stream_), 1u);
}

TEST_F(SoftLaunch, BlocksAndGridsHaveLimits) {
  EXPECT_EQ(launch(HandWritten::kStore, 1, 1024), cudaSuccess);
  EXPECT_EQ(launch(HandWritten::kStore, 1, 1025), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(HandWritten::kStore, 1, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(HandWritten::kStore, 0, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(HandWritten::kStore, 0x80000000u, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(HandWritten::kBounded, 1, 64), cudaSuccess);
  EXPECT_EQ(launch(HandWritten::kBounded, 1, 65), cudaErrorInvalidValue);
}

TEST_F(SoftLaunch, SharedMemoryBeyond48KibMustBeAskedFor) {
  EXPECT_EQ(launch(HandWritten::kStore, 1, 1, 48 * 1024), cudaSuccess);
  EXPECT_EQ(launch(HandWritten::kStore, 1, 1, 48 * 1024 + 1), cudaErrorInvalidValue);
  EXPECT_EQ(allow_shared(HandWritten::kStore, 227 * 1024 + 1), cudaErrorInvalidValue);
  EXPECT_EQ(allow_shared(HandWritten::kStore, 227 * 1024), cudaSuccess);
  EXPECT_EQ(launch(HandWritten::kStore, 1, 1, 227 * 1024), cudaSuccess);
}

TEST_F(SoftLaunch, StaticSharedMemoryCountsToo) {
  EXPECT_EQ(launch(HandWritten::kShared, 1, 1, 48 * 1024 - 40000), cudaSuccess);
  EXPECT_EQ(launch(HandWritten::kShared, 1, 1, 48 * 1024 - 39999), cudaErrorInvalidValue);
  EXPECT_EQ(allow_shared(HandWritten::kShared, 227 * 1024), cudaErrorInvalidValue);
  EXPECT_EQ(allow_shared(HandWritten::kShared, 227 * 1024 - 40000), cudaSuccess);
}

TEST_F(SoftLaunch, ErrorsAreReportedOnce) {
  launch(HandWritten::kStore, 0, 1);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(SoftLaunch, ArgumentsAreThoseOfTheLaunch) {
  std::uint32_t value = 1;
  launch_store(HandWritten::kStore, stream_, value, words_);
  value = 2;
  EXPECT_EQ(read(words_, stream_), 1u);
}

TEST_F(SoftLaunch, AFaultIsReportedByWhatWaitsAndStays) {
  ASSERT_EQ(launch(HandWritten::kStore, 1024 / 64 + 1, 64), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  EXPECT_NE(last_fault().find("store"), std::string::npos) << last_fault();
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorIllegalAddress);
}

TEST_F(SoftLaunch, TheDeviceHasAnEnd) {
  void* memory = nullptr;
  std::size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, free + 1), cudaErrorMemoryAllocation);
}

}  // namespace
}  // namespace stampede::soft_gpu
