// SPDX-License-Identifier: Apache-2.0
// The sum tree on the CPU: exact totals, true frequencies, no empty leaf, the same bits for any number of threads.
#include "kernels/sum_tree.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/error.h"

namespace stampede {
namespace {

class TestTree {
 public:
  TestTree(int leaves, int max_batch) : arena_(Device{}) {
    SumTree measured(leaves, max_batch, arena_);
    arena_.allocate("test tree");
    tree_ = std::make_unique<SumTree>(leaves, max_batch, arena_);
  }
  const SumTree& operator*() const { return *tree_; }
  const SumTree* operator->() const { return tree_.get(); }

  void fill(const std::vector<float>& leaves, const Stream& stream = Stream::cpu()) {
    std::copy(leaves.begin(), leaves.end(), tree_->leaves().data);
    tree_->refresh_range(stream, 0, static_cast<int>(leaves.size()));
  }
  double exact_total() const {
    const View<float> leaves = tree_->leaves();
    return std::accumulate(leaves.data, leaves.data + leaves.size(), 0.0);
  }

 private:
  Arena arena_;
  std::unique_ptr<SumTree> tree_;
};

std::uint32_t random_word(std::uint64_t i, std::uint32_t salt = 0) {
  return RandomKey{11 + salt, i, Purpose::kAction}.lane_word(0);
}

// About a seventh of the leaves is 0; the others span five orders of magnitude.
std::vector<float> priorities(int count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t word = random_word(i);
    values[i] = word % 7 == 0 ? 0.0f : std::pow(10.0f, uniform_float(word) * 5.0f - 3.0f);
  }
  return values;
}

struct Draws {
  std::vector<std::int32_t> indices;
  std::vector<float> priorities;
};
Draws draw(const SumTree& tree, DrawKind kind, int count, std::uint64_t row, int threads = 1) {
  Draws draws{std::vector<std::int32_t>(static_cast<std::size_t>(count)),
              std::vector<float>(static_cast<std::size_t>(count))};
  tree.draw(Stream::cpu(threads), {5, row, Purpose::kReplaySample}, kind, count, draws.indices.data(),
            draws.priorities.data());
  return draws;
}

const int kSizes[] = {1, 2, 31, 32, 33, 257, 1024, 1025, 33'000, 1'050'000};

TEST(SumTree, TotalIsTheSumOfItsLeaves) {
  for (const int size : kSizes) {
    TestTree tree(size, 1);
    EXPECT_EQ(*tree->total(), 0.0);
    tree.fill(priorities(size));
    EXPECT_NEAR(*tree->total(), tree.exact_total(), 1e-13 * tree.exact_total()) << size;
  }
}

TEST(SumTree, NeverDrawsAnEmptyLeaf) {
  for (const int size : kSizes) {
    TestTree tree(size, 1);
    std::vector<float> leaves = priorities(size);
    leaves.back() = 0.5f;
    tree.fill(leaves);
    for (const DrawKind kind : {DrawKind::kStratified, DrawKind::kIndependent}) {
      for (const int count : {1, 31, 33, 257, 4096}) {
        const Draws draws = draw(*tree, kind, count, static_cast<std::uint64_t>(count));
        for (std::size_t k = 0; k < draws.indices.size(); ++k) {
          ASSERT_GE(draws.indices[k], 0);
          ASSERT_LT(draws.indices[k], size);
          ASSERT_EQ(draws.priorities[k], leaves[static_cast<std::size_t>(draws.indices[k])]);
          ASSERT_GT(draws.priorities[k], 0.0f) << size << " leaves, draw " << k << " of " << count;
        }
      }
    }
  }
}

// A lone leaf is found wherever it is, whatever the rounding at the edges of its nodes.
TEST(SumTree, FindsALoneLeafAnywhere) {
  constexpr int kLeaves = 33 * 32 + 5;
  for (int place = 0; place < kLeaves; place += 31) {
    TestTree tree(kLeaves, 1);
    std::vector<float> leaves(kLeaves, 0.0f);
    leaves[static_cast<std::size_t>(place)] = 1e-20f;
    tree.fill(leaves);
    for (const std::int32_t index : draw(*tree, DrawKind::kStratified, 33, 1).indices) ASSERT_EQ(index, place);
  }
}

TEST(SumTree, FrequenciesFollowThePriorities) {
  for (const int size : {33, 257, 2000}) {
    TestTree tree(size, 1);
    tree.fill(priorities(size));
    for (const DrawKind kind : {DrawKind::kStratified, DrawKind::kIndependent}) {
      constexpr int kBatch = 64, kBatches = 20'000;
      std::vector<int> counts(static_cast<std::size_t>(size));
      for (int b = 0; b < kBatches; ++b) {
        for (const std::int32_t index : draw(*tree, kind, kBatch, static_cast<std::uint64_t>(b)).indices) {
          ++counts[static_cast<std::size_t>(index)];
        }
      }
      double chi2 = 0.0;
      int freedom = -1;
      for (std::size_t i = 0; i < counts.size(); ++i) {
        const double expected = tree->leaves()[i] / *tree->total() * kBatch * kBatches;
        if (expected < 10.0) continue;
        chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
        ++freedom;
      }
      EXPECT_GT(freedom, 10);
      const double limit = freedom + 3.3 * std::sqrt(2.0 * freedom);
      EXPECT_LT(chi2, limit) << size << " leaves";
      // Strata leave less to chance than independent draws do.
      if (kind == DrawKind::kIndependent) {
        EXPECT_GT(chi2, freedom - 3.3 * std::sqrt(2.0 * freedom)) << size;
      }
    }
  }
}

TEST(SumTree, StratifiedDrawsStayInTheirShares) {
  constexpr int kLeaves = 1000, kBatch = 50;
  TestTree tree(kLeaves, 1);
  tree.fill(std::vector<float>(kLeaves, 0.25f));
  for (std::uint64_t row = 0; row < 100; ++row) {
    const Draws draws = draw(*tree, DrawKind::kStratified, kBatch, row);
    for (std::size_t k = 0; k < kBatch; ++k) {
      ASSERT_GE(draws.indices[k], static_cast<int>(k) * kLeaves / kBatch);
      ASSERT_LT(draws.indices[k], static_cast<int>(k + 1) * kLeaves / kBatch);
    }
  }
}

TEST(SumTree, TotalStaysExactOverAMillionUpdates) {
  constexpr int kLeaves = 40'000, kBatch = 250;
  TestTree tree(kLeaves, kBatch);
  tree.fill(priorities(kLeaves));
  std::vector<std::int32_t> indices(kBatch);
  for (std::uint64_t update = 0; update < 1'000'000 / kBatch; ++update) {
    for (std::size_t k = 0; k < kBatch; ++k) {
      const std::uint64_t draw_number = update * kBatch + k;
      indices[k] = static_cast<std::int32_t>(uniform_below(random_word(draw_number, 1), kLeaves));
      tree->leaves()[static_cast<std::size_t>(indices[k])] =
          std::pow(10.0f, uniform_float(random_word(draw_number, 2)) * 8.0f - 5.0f);
    }
    tree->refresh(Stream::cpu(), indices.data(), kBatch);
  }
  EXPECT_NEAR(*tree->total(), tree.exact_total(), 1e-13 * tree.exact_total());
  // The sums are the bits of a tree that was built at once.
  const double total = *tree->total();
  tree->refresh_range(Stream::cpu(), 0, kLeaves);
  EXPECT_EQ(*tree->total(), total);
}

// Every inner array, so that a stale node below the root shows as well.
std::vector<double> inner_nodes(const SumTree& tree) {
  std::vector<double> all;
  int nodes = tree.view().leaf_count;
  for (int level = 1; level <= tree.view().levels; ++level) {
    nodes = (nodes + 31) / 32;
    all.insert(all.end(), tree.view().sums[level], tree.view().sums[level] + nodes);
    if (level < tree.view().levels) {
      all.insert(all.end(), tree.view().starts[level], tree.view().starts[level] + nodes);
    }
  }
  return all;
}

TEST(SumTree, PartialRefreshesEqualAWholeOne) {
  for (const int size : {1, 31, 33, 257, 33'000}) {
    TestTree partial(size, 257), whole(size, 1);
    std::vector<float> leaves = priorities(size);
    partial.fill(leaves);
    for (std::uint64_t round = 0; round < 20; ++round) {
      std::vector<std::int32_t> indices(257);
      for (std::size_t k = 0; k < indices.size(); ++k) {
        indices[k] = static_cast<std::int32_t>(
            uniform_below(random_word(round * 1000 + k, 3), static_cast<std::uint32_t>(size)));
        if (k % 5 == 4) indices[k] = indices[k - 1];
        leaves[static_cast<std::size_t>(indices[k])] = static_cast<float>(round + k % 3);
      }
      for (const std::int32_t i : indices)
        partial->leaves()[static_cast<std::size_t>(i)] = leaves[static_cast<std::size_t>(i)];
      partial->refresh(Stream::cpu(3), indices.data(), 257);
      const int begin = size / 3, end = size / 2;
      for (int i = begin; i < end; ++i)
        partial->leaves()[static_cast<std::size_t>(i)] = leaves[static_cast<std::size_t>(i)] = 2.5f;
      partial->refresh_range(Stream::cpu(3), begin, end);
      whole.fill(leaves);
      ASSERT_EQ(inner_nodes(*partial), inner_nodes(*whole)) << size;
    }
  }
}

TEST(SumTree, SameBitsOnAnyNumberOfThreads) {
  constexpr int kLeaves = 100'000;
  TestTree one(kLeaves, 4096), three(kLeaves, 4096);
  one.fill(priorities(kLeaves));
  three.fill(priorities(kLeaves), Stream::cpu(3));
  for (std::uint64_t row = 0; row < 5; ++row) {
    const Draws a = draw(*one, DrawKind::kIndependent, 4001, row),
                b = draw(*three, DrawKind::kIndependent, 4001, row, 3);
    ASSERT_EQ(a.indices, b.indices);
    for (const std::int32_t i : a.indices) {
      one->leaves()[static_cast<std::size_t>(i)] = three->leaves()[static_cast<std::size_t>(i)] =
          0.01f * static_cast<float>(i % 100);
    }
    one->refresh(Stream::cpu(1), a.indices.data(), 4001);
    three->refresh(Stream::cpu(3), b.indices.data(), 4001);
    ASSERT_EQ(inner_nodes(*one), inner_nodes(*three));
  }
}

TEST(SumTree, RefusesWhatItCannotHold) {
  Arena arena(Device{});
  EXPECT_THROW(SumTree(0, 1, arena), UsageError);
  EXPECT_THROW(SumTree(std::int64_t{1} << 31, 1, arena), UsageError);
  TestTree tree(10, 2);
  const std::int32_t indices[3] = {1, 2, 3};
  EXPECT_THROW(tree->refresh(Stream::cpu(), indices, 3), RuntimeError);
}

}  // namespace
}  // namespace stampede
