// SPDX-License-Identifier: Apache-2.0
// Arenas measure first and allocate once; buffers own zeroed, aligned memory.
#include <gtest/gtest.h>

#include <utility>

#include "kernels/arena.h"
#include "kernels/error.h"

namespace stampede {
namespace {

TEST(Arena, MeasuresWhatItThenHandsOut) {
  for (const std::size_t count : {1u, 31u, 33u, 257u}) {
    Arena arena{Device{}};
    const auto take = [&] {
      arena.take<std::uint8_t>(count);
      arena.take<double>(count);
      return arena.take<float>(count);
    };
    take();
    const std::size_t measured = arena.bytes();
    EXPECT_GE(measured, count * 13);
    EXPECT_LT(measured, count * 13 + 3 * 64);
    EXPECT_TRUE(arena.measuring());
    arena.allocate("test");
    EXPECT_FALSE(arena.measuring());
    EXPECT_EQ(arena.bytes(), 0u);
    const View<float> view = take();
    EXPECT_EQ(arena.bytes(), measured);
    ASSERT_EQ(view.size(), count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.data) % 64, 0u);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(view[i], 0.0f);
  }
}

TEST(Arena, ViewsDoNotOverlap) {
  Arena arena{Device{}};
  arena.take<float>(3);
  arena.take<float>(33);
  arena.allocate("test");
  const View<float> a = arena.take<float>(3), b = arena.take<float>(33);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = 7.0f;
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], 0.0f);
}

TEST(Arena, RefusesMoreThanWasMeasured) {
  Arena arena{Device{}};
  arena.take<float>(16);
  arena.allocate("test");
  EXPECT_NO_THROW(arena.take<float>(16));
  EXPECT_THROW(arena.take<float>(1), RuntimeError);
}

TEST(Arena, NamesTheBudgetThatIsNotThere) {
  Arena arena{Device{}};
  arena.take<std::byte>(std::size_t{1} << 50);
  try {
    arena.allocate("the trajectory ring");
    FAIL() << "allocated a pebibyte";
  } catch (const RuntimeError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("the trajectory ring needs 1073741824 MiB on cpu"), std::string::npos) << message;
    EXPECT_NE(message.find("are available"), std::string::npos) << message;
  }
}

TEST(Arena, CanBeEmpty) {
  Arena arena{Device{}};
  arena.take<float>(0);
  arena.allocate("nothing");
  EXPECT_EQ(arena.take<float>(0).size(), 0u);
}

TEST(Buffer, MovesItsMemory) {
  Buffer<int> a(Device{}, 33);
  int* const memory = a.data();
  memory[32] = 5;
  Buffer<int> b(std::move(a));
  EXPECT_EQ(b.data(), memory);
  EXPECT_EQ(to_host(Stream::cpu(), b.view())[32], 5);
  Buffer<int> c;
  EXPECT_EQ(c.data(), nullptr);
  c = std::move(b);
  EXPECT_EQ(c.data(), memory);
  EXPECT_EQ(c.size(), 33u);
}

}  // namespace
}  // namespace stampede
