// SPDX-License-Identifier: Apache-2.0
// The minibatch permutation: every index exactly once, another order for another key.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "agents/permutation.h"

namespace stampede {
namespace {

std::vector<std::uint32_t> order(const RandomKey& key, std::uint32_t n) {
  const Permutation permutation(key, n);
  std::vector<std::uint32_t> values(n);
  for (std::uint32_t i = 0; i < n; ++i) values[i] = permutation(i);
  return values;
}

RandomKey key_of(std::uint64_t row, std::uint64_t seed = 1) { return {seed, row, Purpose::kPermutation}; }

TEST(Permutation, IsABijection) {
  for (const std::uint32_t n : {1u, 2u, 3u, 4u, 5u, 31u, 33u, 257u, 1000u, 4096u, 4097u, 100'000u}) {
    for (std::uint64_t row = 0; row < 3; ++row) {
      std::vector<int> seen(n);
      for (const std::uint32_t value : order(key_of(row), n)) {
        ASSERT_LT(value, n);
        ASSERT_EQ(++seen[value], 1) << n;
      }
    }
  }
}

TEST(Permutation, DiffersByKey) {
  for (const std::uint32_t n : {31u, 257u, 4096u}) {
    EXPECT_NE(order(key_of(0), n), order(key_of(1), n));
    EXPECT_NE(order(key_of(0, 1), n), order(key_of(0, 2), n));
    EXPECT_EQ(order(key_of(3), n), order(key_of(3), n));
  }
}

// Where an index lands is uniform over keys: no position is favoured.
TEST(Permutation, PlacesEveryIndexUniformly) {
  constexpr std::uint32_t kSize = 33;
  constexpr int kKeys = 33'000;
  for (const std::uint32_t index : {0u, 16u, 32u}) {
    std::vector<int> bins(kSize);
    for (std::uint64_t row = 0; row < kKeys; ++row) ++bins[Permutation(key_of(row), kSize)(index)];
    double chi2 = 0.0;
    for (const int count : bins) chi2 += std::pow(count - 1000.0, 2) / 1000.0;
    EXPECT_LT(chi2, 62.5) << index;  // 99.9 % of 32 degrees of freedom
  }
}

}  // namespace
}  // namespace stampede
