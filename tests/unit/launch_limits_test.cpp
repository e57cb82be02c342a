// SPDX-License-Identifier: Apache-2.0
// What a launch may ask for is checked before it is made.
#include <gtest/gtest.h>

#include "kernels/device_limits.h"
#include "kernels/element_count.h"
#include "kernels/error.h"

namespace stampede {
namespace {

TEST(DeviceLimits, LeaveRoomForABlocksStaticMemory) {
  DeviceLimits limits;
  EXPECT_FALSE(limits.holds_block(0));  // a CPU
  limits.shared_per_block = 100 * 1024;
  EXPECT_TRUE(limits.holds_block(98 * 1024));
  EXPECT_FALSE(limits.holds_block(98 * 1024 + 1));
}

TEST(ElementCount, RefusesWhatAnIndexCannotHold) {
  EXPECT_EQ(element_count(1 << 20, 2047), (1 << 20) * 2047);
  EXPECT_EQ(element_count(0x7FFFFFFF - 1024, 1), 0x7FFFFFFF - 1024);
  EXPECT_THROW(element_count(0x7FFFFFFF - 1023, 1), RuntimeError);
  EXPECT_THROW(element_count(1 << 20, 2048), RuntimeError);
  EXPECT_THROW(element_count(1 << 20, 1 << 16), RuntimeError);
}

}  // namespace
}  // namespace stampede
