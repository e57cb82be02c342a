// SPDX-License-Identifier: Apache-2.0
// Which differences between two runs of the same work a graph's node can take, and which are seen.
#include "kernels/work_list.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

namespace stampede {
namespace {

struct Values {
  std::int64_t first;
  float second[4];  // no padding: its bytes would be compared too
};

const char kFunctions[2] = {};
char memory[16];

// A kernel of one argument, a copy, a fill, a kernel of two arguments; with one thing changed.
struct Iteration {
  KernelLaunch kernel{.function = &kFunctions[0], .grid = 3, .block = 128, .shared = 64};
  Values values{.first = 5, .second = {1.0f, 2.0f, 3.0f, 3.5f}};
  DeviceCopy copy{.to = memory, .from = memory + 8, .bytes = 4};
  ZeroFill fill{.memory = memory, .bytes = 8};
  int count = 7;

  WorkList list() const {
    WorkList work;
    work.add(kernel, {{{&values, sizeof values}}});
    work.add(copy);
    work.add(fill);
    work.add(kernel, {{{&count, sizeof count}, {&values.first, sizeof values.first}}});
    return work;
  }
};

WorkList changed(const std::function<void(Iteration&)>& change) {
  Iteration iteration;
  change(iteration);
  return iteration.list();
}

std::vector<std::size_t> differences(const WorkList& work) {
  const WorkList before = Iteration{}.list();
  EXPECT_TRUE(work.has_shape_of(before));
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < work.size(); ++i) {
    if (!work.same_work(i, before)) found.push_back(i);
  }
  return found;
}

using Indices = std::vector<std::size_t>;

TEST(WorkList, SeesEveryParameterThatDiffers) {
  EXPECT_EQ(differences(Iteration{}.list()), Indices{});
  EXPECT_EQ(differences(changed([](Iteration& it) { it.kernel.grid = 4; })), (Indices{0, 3}));
  EXPECT_EQ(differences(changed([](Iteration& it) { it.kernel.block = 64; })), (Indices{0, 3}));
  EXPECT_EQ(differences(changed([](Iteration& it) { it.kernel.shared = 0; })), (Indices{0, 3}));
  EXPECT_EQ(differences(changed([](Iteration& it) { it.values.first = 6; })), (Indices{0, 3}));
  EXPECT_EQ(differences(changed([](Iteration& it) { it.values.second[2] = 4.0f; })), Indices{0});
  EXPECT_EQ(differences(changed([](Iteration& it) { it.copy.to = memory + 4; })), Indices{1});
  EXPECT_EQ(differences(changed([](Iteration& it) { it.copy.from = memory + 12; })), Indices{1});
  EXPECT_EQ(differences(changed([](Iteration& it) { it.copy.bytes = 2; })), Indices{1});
  EXPECT_EQ(differences(changed([](Iteration& it) { it.fill.memory = memory + 8; })), Indices{2});
  EXPECT_EQ(differences(changed([](Iteration& it) { it.count = 8; })), Indices{3});
}

TEST(WorkList, OtherKernelsKindsSizesAndFillsAreAnotherShape) {
  const WorkList before = Iteration{}.list();
  EXPECT_FALSE(changed([](Iteration& it) { it.kernel.function = &kFunctions[1]; }).has_shape_of(before));
  EXPECT_FALSE(changed([](Iteration& it) { it.fill.bytes = 4; }).has_shape_of(before));
  WorkList longer = Iteration{}.list();
  longer.add(ZeroFill{memory, 8});
  EXPECT_FALSE(longer.has_shape_of(before));
  EXPECT_FALSE(before.has_shape_of(longer));
  WorkList fills, copies;
  fills.add(ZeroFill{memory, 4});
  copies.add(DeviceCopy{memory, memory + 8, 4});
  EXPECT_FALSE(copies.has_shape_of(fills));
}

TEST(WorkList, KeepsTheBytesOfArguments) {
  const Iteration same;
  Iteration other;
  const WorkList work = other.list();
  other.values = {};
  other.count = 0;
  const KernelArguments one = work.arguments(0), two = work.arguments(3);
  ASSERT_EQ(one[0].bytes, sizeof(Values));
  EXPECT_EQ(one[1].bytes, 0u);
  EXPECT_EQ(std::memcmp(one[0].data, &same.values, sizeof(Values)), 0);
  ASSERT_EQ(two[0].bytes, sizeof(int));
  ASSERT_EQ(two[1].bytes, sizeof(std::int64_t));
  EXPECT_EQ(std::memcmp(two[0].data, &same.count, sizeof(int)), 0);
  EXPECT_EQ(std::memcmp(two[1].data, &same.values.first, sizeof(std::int64_t)), 0);
}

TEST(WorkList, IsEmptyAfterClear) {
  WorkList work = Iteration{}.list();
  work.clear();
  EXPECT_EQ(work.size(), 0u);
  work.add(ZeroFill{memory, 8});
  EXPECT_EQ(work.size(), 1u);
}

}  // namespace
}  // namespace stampede
