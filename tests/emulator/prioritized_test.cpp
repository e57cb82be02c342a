// SPDX-License-Identifier: Apache-2.0
// The CUDA passes of prioritised replay over a batch give the bits of the CPU's.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "replay/prioritized_blocks.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

constexpr int kLeaves = 1000;

std::vector<float> positive(int count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.001f + static_cast<float>(i * 7919 % 613) * 0.01f;
  return values;
}

TEST(PrioritizedKernels, WeighADrawnBatch) {
  Arena arena{Device{}};
  SumTree measured(kLeaves, 300, arena);
  arena.allocate("test tree");
  SumTree tree(kLeaves, 300, arena);
  const std::vector<float> leaves = positive(kLeaves);
  std::copy(leaves.begin(), leaves.end(), tree.leaves().data);
  tree.refresh_range(Stream::cpu(), 0, kLeaves);
  const RandomKey key{3, 4, Purpose::kReplaySample};
  for (const int batch : {1, 31, 33, 257, 1100}) {
    const auto size = static_cast<std::size_t>(batch);
    std::vector<std::int32_t> drawn(size);
    std::vector<float> priorities(size), expected(size);
    tree.draw(Stream::cpu(), key, DrawKind::kStratified, batch, drawn.data(), priorities.data());
    const float smallest = *std::min_element(priorities.begin(), priorities.end());
    for (int k = 0; k < batch; ++k) ImportanceWeight{priorities.data(), &smallest, 0.6f, expected.data()}(k);
    for (const Schedule& schedule : simt::all_schedules()) {
      GuardedArray<std::int32_t> indices(size, -1);
      GuardedArray<float> values(size, -1.0f), weights(size, -1.0f);
      unsigned arrived = 0;
      const WeightTail weigh{values.data(), batch, 0.6f, weights.data(), &arrived};
      simt::run(
          sum_tree_grid(batch), kSumTreeThreads, 0, schedule,
          DrawKernel<WeightTail>{tree.view(), key, DrawKind::kStratified, batch, indices.data(), values.data(), weigh});
      EXPECT_EQ(indices.values(), drawn) << batch << " " << schedule.name();
      EXPECT_TRUE(same_bits(weights.values(), expected)) << batch << " " << schedule.name();
      EXPECT_EQ(arrived, 0u);
    }
  }
}

TEST(PrioritizedKernels, NewPrioritiesRaiseTheMaximum) {
  for (const int batch : {1, 31, 33, 257, 700}) {
    const auto size = static_cast<std::size_t>(batch);
    std::vector<float> errors = positive(batch);
    errors[size / 2] = 50.0f;
    std::vector<std::int32_t> indices(size);
    for (int k = 0; k < batch; ++k) indices[static_cast<std::size_t>(k)] = k * 37 % kLeaves;
    const auto run = [&](float* leaves, float* priorities, const auto& launch) {
      launch(NewPriorities{0.6f, 1e-6f, nullptr, indices.data(), leaves, nullptr, errors.data(), priorities});
    };
    for (const float before : {1.0f, 1000.0f}) {
      std::vector<float> leaves = positive(kLeaves), priorities(size);
      leaves[37] = 0.0f;
      const std::vector<float> first = leaves;
      float maximum = before;
      run(leaves.data(), priorities.data(), [&](const NewPriorities& fresh) {
        for (int k = 0; k < batch; ++k) fresh(k);
        const float largest = *std::max_element(priorities.begin(), priorities.end());
        RaiseValue{&maximum, &largest}(0);
      });
      for (const Schedule& schedule : simt::all_schedules()) {
        GuardedArray<float> cuda_leaves(first), cuda_priorities(size, -1.0f), block_maxima(3, -1.0f);
        float cuda_maximum = before;
        unsigned arrived = 0;
        run(cuda_leaves.data(), cuda_priorities.data(), [&](const NewPriorities& fresh) {
          simt::run((size + 255) / 256, NewPrioritiesKernel::kThreads, 0, schedule,
                    NewPrioritiesKernel{fresh, batch, &cuda_maximum, block_maxima.data(), &arrived});
        });
        EXPECT_TRUE(same_bits(cuda_leaves.values(), leaves)) << batch << " " << schedule.name();
        EXPECT_TRUE(same_bits(cuda_priorities.values(), priorities)) << batch << " " << schedule.name();
        EXPECT_EQ(cuda_maximum, maximum) << batch << " " << schedule.name();
        block_maxima.values();
      }
    }
  }
}

}  // namespace
}  // namespace stampede
