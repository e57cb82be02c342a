// SPDX-License-Identifier: Apache-2.0
// The sum tree's CUDA kernels under the emulator give the bits of the CPU: every node, every draw.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "kernels/sum_tree_blocks.h"
#include "tests/emulator/guarded_array.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

constexpr int kMaxBatch = 300;

// Zeros, tiny and large leaves.
std::vector<float> mixed_leaves(int count, std::uint32_t seed) {
  std::vector<float> leaves(static_cast<std::size_t>(count));
  for (float& leaf : leaves) {
    seed = seed * 1664525u + 1013904223u;
    leaf = seed >> 29 == 0 ? 0.0f : std::pow(10.0f, static_cast<float>(seed >> 8) * 0x1p-24f * 6.0f - 3.0f);
  }
  return leaves;
}

class CpuTree {
 public:
  explicit CpuTree(int leaves) : arena_(Device{}) {
    SumTree measured(leaves, kMaxBatch, arena_);
    arena_.allocate("test tree");
    tree_ = std::make_unique<SumTree>(leaves, kMaxBatch, arena_);
  }
  const SumTree* operator->() const { return tree_.get(); }

 private:
  Arena arena_;
  std::unique_ptr<SumTree> tree_;
};

// A tree in guarded memory that only kernels write to.
class EmulatedTree {
 public:
  explicit EmulatedTree(int leaf_count) {
    tree_.leaf_count = leaf_count;
    std::size_t nodes = (static_cast<std::size_t>(leaf_count) + 31) / 32;
    leaves_ = std::make_unique<GuardedArray<float>>(nodes * 32, 0.0f);
    tree_.leaves = leaves_->data();
    for (;;) {
      const std::size_t parents = (nodes + 31) / 32;
      ++tree_.levels;
      tree_.sums[tree_.levels] = add(parents * 32);
      if (nodes == 1) return;
      tree_.starts[tree_.levels] = add(parents * 32);
      nodes = parents;
    }
  }

  const SumTreeView& view() const { return tree_; }

  // The launches of sum_tree.cu.
  void refresh_range(int begin, int end, const Schedule& schedule) {
    for (int level = 1; level <= tree_.levels; ++level) {
      begin /= 32;
      end = (end - 1) / 32 + 1;
      const bool last = level == tree_.levels || (end - begin) / 32 < kClimbNodes;
      simt::run(sum_tree_grid(end - begin), kSumTreeThreads, 0, schedule,
                RefreshNodes{tree_, level, begin, end, last ? &arrived_ : nullptr});
      if (last) return;
    }
  }
  // Returns the number of launches.
  int refresh(const std::vector<std::int32_t>& indices, const Schedule& schedule) {
    GuardedArray<std::int32_t> list(indices);
    const int count = static_cast<int>(indices.size());
    for (int level = 1;; ++level) {
      const bool last = level == tree_.levels || node_count(tree_, level + 1) <= kClimbNodes;
      simt::run(sum_tree_grid(count), kSumTreeThreads, 0, schedule,
                RefreshIndices{tree_, level, list.data(), count, last ? &arrived_ : nullptr});
      if (last) return level;
    }
  }
  // Every inner value, in the order of a CPU tree's memory. Throws when a guard was written.
  std::vector<double> inner() {
    std::vector<double> all;
    for (const auto& block : blocks_) {
      const std::vector<double> values = block->values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

 private:
  double* add(std::size_t count) {
    blocks_.push_back(std::make_unique<GuardedArray<double>>(count, 0.0));
    return blocks_.back()->data();
  }

  SumTreeView tree_;
  unsigned arrived_ = 0;
  std::unique_ptr<GuardedArray<float>> leaves_;
  std::vector<std::unique_ptr<GuardedArray<double>>> blocks_;
};

std::vector<double> inner(const SumTree& tree) {
  std::vector<double> all;
  const SumTreeView& view = tree.view();
  std::size_t nodes = (static_cast<std::size_t>(view.leaf_count) + 31) / 32;
  for (int level = 1; level <= view.levels; ++level, nodes = (nodes + 31) / 32) {
    const std::size_t padded = (nodes + 31) / 32 * 32;
    all.insert(all.end(), view.sums[level], view.sums[level] + padded);
    if (level < view.levels) all.insert(all.end(), view.starts[level], view.starts[level] + padded);
  }
  return all;
}

struct Draws {
  std::vector<std::int32_t> indices;
  std::vector<float> priorities;
};

Draws emulated_draws(const SumTreeView& tree, const RandomKey& key, DrawKind kind, int count,
                     const Schedule& schedule) {
  GuardedArray<std::int32_t> indices(static_cast<std::size_t>(count), -1);
  GuardedArray<float> priorities(static_cast<std::size_t>(count), -1.0f);
  simt::run(sum_tree_grid(count), kSumTreeThreads, 0, schedule,
            DrawKernel<>{tree, key, kind, count, indices.data(), priorities.data()});
  return {indices.values(), priorities.values()};
}

Draws cpu_draws(const SumTree& tree, const RandomKey& key, DrawKind kind, int count) {
  Draws draws{std::vector<std::int32_t>(static_cast<std::size_t>(count)),
              std::vector<float>(static_cast<std::size_t>(count))};
  tree.draw(Stream::cpu(), key, kind, count, draws.indices.data(), draws.priorities.data());
  return draws;
}

TEST(SumTreeKernels, SameBitsOnCpuAndCuda) {
  for (const int size : {1, 31, 33, 257, 1024, 1025}) {
    const std::vector<float> leaves = mixed_leaves(size, 7);
    for (const Schedule& schedule : simt::all_schedules()) {
      CpuTree cpu(size);
      EmulatedTree cuda(size);
      std::copy(leaves.begin(), leaves.end(), cpu->leaves().data);
      std::copy(leaves.begin(), leaves.end(), cuda.view().leaves);
      cpu->refresh_range(Stream::cpu(), 0, size);
      cuda.refresh_range(0, size, schedule);
      ASSERT_TRUE(same_bits(inner(*cpu.operator->()), cuda.inner())) << size << " " << schedule.name();

      std::vector<std::int32_t> indices;
      for (int k = 0; k < 33; ++k) indices.push_back(static_cast<std::int32_t>(k / 2 * 7919L % size));
      for (const std::int32_t i : indices) {
        cpu->leaves()[static_cast<std::size_t>(i)] = cuda.view().leaves[i] = 0.37f * static_cast<float>(i % 5);
      }
      cpu->refresh(Stream::cpu(), indices.data(), static_cast<int>(indices.size()));
      cuda.refresh(indices, schedule);
      ASSERT_TRUE(same_bits(inner(*cpu.operator->()), cuda.inner())) << size << " " << schedule.name();

      for (const DrawKind kind : {DrawKind::kStratified, DrawKind::kIndependent}) {
        const RandomKey key{3, static_cast<std::uint64_t>(size), Purpose::kReplaySample};
        const Draws expected = cpu_draws(*cpu.operator->(), key, kind, 257);
        const Draws drawn = emulated_draws(cuda.view(), key, kind, 257, schedule);
        ASSERT_EQ(expected.indices, drawn.indices) << size << " " << schedule.name();
        ASSERT_EQ(expected.priorities, drawn.priorities) << size << " " << schedule.name();
      }
    }
  }
}

// Four levels; the last block of the second launch climbs the upper two.
TEST(SumTreeKernels, LargeTreesAreRefreshedInTwoLaunches) {
  const int size = 1 << 17;  // level 2 has 128 nodes, too many for one block
  const std::vector<float> leaves = mixed_leaves(size, 9);
  CpuTree cpu(size);
  EmulatedTree cuda(size);
  std::copy(leaves.begin(), leaves.end(), cpu->leaves().data);
  std::copy(leaves.begin(), leaves.end(), cuda.view().leaves);
  cpu->refresh_range(Stream::cpu(), 0, size);
  cuda.refresh_range(0, size, {});
  ASSERT_TRUE(same_bits(inner(*cpu.operator->()), cuda.inner()));
  const std::vector<std::int32_t> indices{0, 70001, 131071};
  for (const Schedule& schedule : simt::all_schedules()) {
    for (const std::int32_t i : indices) {
      cpu->leaves()[static_cast<std::size_t>(i)] += 1.0f;
      cuda.view().leaves[i] += 1.0f;
    }
    cpu->refresh(Stream::cpu(), indices.data(), static_cast<int>(indices.size()));
    EXPECT_EQ(cuda.refresh(indices, schedule), 2);
    ASSERT_TRUE(same_bits(inner(*cpu.operator->()), cuda.inner())) << schedule.name();
  }
}

TEST(SumTreeKernels, NeverDrawAnEmptyLeaf) {
  for (const int size : {1, 33, 1025}) {
    std::vector<float> leaves(static_cast<std::size_t>(size), 0.0f);
    for (std::size_t i = 0; i < leaves.size(); i += 11) leaves[i] = static_cast<float>(i % 3);
    leaves.back() = 1e-20f;
    for (const Schedule& schedule : simt::all_schedules()) {
      EmulatedTree tree(size);
      std::copy(leaves.begin(), leaves.end(), tree.view().leaves);
      tree.refresh_range(0, size, schedule);
      for (const float p :
           emulated_draws(tree.view(), {1, 2, Purpose::kReplaySample}, DrawKind::kStratified, 33, schedule)
               .priorities) {
        ASSERT_GT(p, 0.0f) << size << " " << schedule.name();
      }
    }
  }
}

}  // namespace
}  // namespace stampede
