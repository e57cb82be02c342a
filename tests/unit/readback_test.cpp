// SPDX-License-Identifier: Apache-2.0
// What was requested is what the memory held then, whatever is written later; requesting is no wait, copying is one.
#include "kernels/readback.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "kernels/buffer.h"

namespace stampede {
namespace {

TEST(Readback, HoldsWhatWasThereWhenItWasRequested) {
  const Stream stream = Stream::cpu();
  const Buffer<float> buffer(Device{}, 3);
  buffer.data()[2] = 5.0f;
  Readback<float> readback;
  readback.request(stream, buffer.view());
  buffer.data()[2] = 6.0f;
  ASSERT_EQ(readback.wait(stream).size(), 3u);
  EXPECT_EQ(readback.wait(stream)[2], 5.0f);
  readback.request(stream, buffer.view());
  EXPECT_EQ(readback.wait(stream)[2], 6.0f);
}

TEST(Readback, GrowsAndShrinks) {
  const Stream stream = Stream::cpu();
  const Buffer<std::int32_t> buffer(Device{}, 257);
  for (int k = 0; k < 257; ++k) buffer.data()[k] = k;
  Readback<std::int32_t> readback;
  EXPECT_EQ(readback.wait(stream).size(), 0u);
  for (const std::size_t size : {1u, 257u, 33u, 0u, 31u}) {
    readback.request(stream, View<std::int32_t>{buffer.data(), {size}});
    const std::span<const std::int32_t> values = readback.wait(stream);
    ASSERT_EQ(values.size(), size);
    if (size == 0) continue;
    EXPECT_EQ(values[size - 1], static_cast<std::int32_t>(size) - 1);
  }
}

TEST(Readback, MovesWithWhatItHolds) {
  const Stream stream = Stream::cpu();
  const Buffer<float> buffer(Device{}, 3);
  buffer.data()[1] = 5.0f;
  Readback<float> first, second;
  first.request(stream, buffer.view());
  second = std::move(first);
  ASSERT_EQ(second.wait(stream).size(), 3u);
  EXPECT_EQ(second.wait(stream)[1], 5.0f);
  first = Readback<float>();
  EXPECT_EQ(first.wait(stream).size(), 0u);
  first.request(stream, buffer.view());
  EXPECT_EQ(first.wait(stream)[1], 5.0f);
}

TEST(HostWaits, CountCopiesAndSynchronisationOfAllCopiesOfAStream) {
  const Stream stream = Stream::cpu(3), other = stream.serial();
  const Buffer<float> buffer(Device{}, 4);
  Readback<float> readback;
  readback.request(other, buffer.view());
  fill_zero(other, buffer.data(), 16);
  EXPECT_EQ(stream.host_waits(), 0);
  readback.wait(other);
  EXPECT_EQ(stream.host_waits(), 1);
  to_host(other, buffer.view());
  EXPECT_EQ(stream.host_waits(), 2);
  const float value = 1.0f;
  copy_to_device(stream, buffer.data(), &value, sizeof value);
  stream.synchronize();
  EXPECT_EQ(other.host_waits(), 4);
  EXPECT_EQ(Stream::cpu().host_waits(), 0);
}

}  // namespace
}  // namespace stampede
