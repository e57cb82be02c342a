// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/device_memory.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/soft_gpu/fault.h"

namespace stampede::soft_gpu {
namespace {

class DeviceMemoryTest : public testing::Test {
 protected:
  void expect_fault(Fault::Kind kind, const auto& body) {
    try {
      body();
      ADD_FAILURE() << "no fault";
    } catch (const Fault& fault) {
      EXPECT_EQ(static_cast<int>(fault.kind()), static_cast<int>(kind)) << fault.what();
    }
  }
  DeviceMemory memory_{1 << 20};
};

TEST_F(DeviceMemoryTest, AllocationsAreAlignedAndApart) {
  const std::uint64_t a = memory_.allocate(31), b = memory_.allocate(257);
  EXPECT_EQ(a % 256, 0u);
  EXPECT_EQ(b % 256, 0u);
  EXPECT_GE(b, a + 31 + 256);
  EXPECT_EQ(memory_.used(), 31u + 257u);
  EXPECT_TRUE(memory_.contains(reinterpret_cast<const void*>(a)));
  EXPECT_FALSE(memory_.contains(&memory_));
}

TEST_F(DeviceMemoryTest, WhatDoesNotFitIsNotAllocated) {
  EXPECT_EQ(memory_.allocate((1 << 20) + 1), 0u);
  const std::uint64_t all = memory_.allocate(1 << 20);
  EXPECT_NE(all, 0u);
  EXPECT_EQ(memory_.allocate(1), 0u);
  memory_.release(all);
  EXPECT_NE(memory_.allocate(1), 0u);
}

TEST_F(DeviceMemoryTest, ContentsAreBehindTheHostView) {
  const std::uint64_t a = memory_.allocate(33);
  std::memset(memory_.host_view(a, 33, Access::kWrite), 7, 33);
  EXPECT_EQ(memory_.host_view(a + 32, 1, Access::kRead)[0], std::byte{7});
}

TEST_F(DeviceMemoryTest, TheHostCannotFollowADevicePointer) {
  const std::uint64_t a = memory_.allocate(4);
  EXPECT_DEATH(*reinterpret_cast<volatile int*>(a) = 1, "");
}

TEST_F(DeviceMemoryTest, BoundsAreThoseOfOneAllocation) {
  const std::uint64_t a = memory_.allocate(100);
  memory_.allocate(100);
  expect_fault(Fault::Kind::kOutOfBounds, [&] { memory_.host_view(a, 101, Access::kWrite); });
  expect_fault(Fault::Kind::kOutOfBounds, [&] { memory_.host_view(a - 1, 1, Access::kWrite); });
  expect_fault(Fault::Kind::kOutOfBounds, [&] { memory_.host_view(a + 256, 1, Access::kWrite); });
}

TEST_F(DeviceMemoryTest, FreedAddressesStayUnused) {
  const std::uint64_t a = memory_.allocate(100);
  memory_.release(a);
  EXPECT_NE(memory_.allocate(100), a);
  expect_fault(Fault::Kind::kOutOfBounds, [&] { memory_.host_view(a, 1, Access::kWrite); });
  expect_fault(Fault::Kind::kBadFree, [&] { memory_.release(a); });
}

TEST_F(DeviceMemoryTest, AddressesComeBackWhenTheWindowIsUsedUp) {
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t a = memory_.allocate(1 << 19);
    ASSERT_NE(a, 0u);
    expect_fault(Fault::Kind::kUninitialized, [&] { memory_.host_view(a, 4, Access::kRead); });
    std::memset(memory_.host_view(a, 1 << 19, Access::kWrite), 1, 1 << 19);
    memory_.release(a);
  }
}

TEST_F(DeviceMemoryTest, OnlyTheStartOfAnAllocationIsReleased) {
  const std::uint64_t a = memory_.allocate(512);
  expect_fault(Fault::Kind::kBadFree, [&] { memory_.release(a + 256); });
}

TEST_F(DeviceMemoryTest, UnwrittenBytesAreNotRead) {
  const std::uint64_t a = memory_.allocate(16);
  memory_.host_view(a + 1, 6, Access::kWrite);
  memory_.host_view(a + 1, 6, Access::kRead);
  expect_fault(Fault::Kind::kUninitialized, [&] { memory_.host_view(a, 2, Access::kRead); });
  expect_fault(Fault::Kind::kUninitialized, [&] { memory_.host_view(a + 4, 4, Access::kRead); });
  memory_.host_view(a, 16, Access::kReadAny);
}

TEST_F(DeviceMemoryTest, ACopyCarriesWhatIsInitialized) {
  const std::uint64_t a = memory_.allocate(16), b = memory_.allocate(16);
  memory_.host_view(a, 5, Access::kWrite)[4] = std::byte{9};
  memory_.host_view(b, 16, Access::kWrite);
  memory_.copy(b + 1, a, 8);
  EXPECT_EQ(memory_.host_view(b + 1, 5, Access::kRead)[4], std::byte{9});
  memory_.host_view(b + 9, 7, Access::kRead);
  expect_fault(Fault::Kind::kUninitialized, [&] { memory_.host_view(b + 6, 1, Access::kRead); });
}

}  // namespace
}  // namespace stampede::soft_gpu
