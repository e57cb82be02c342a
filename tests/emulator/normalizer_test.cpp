// SPDX-License-Identifier: Apache-2.0
// Merging the moments of a rollout's parts: a CUDA block with the bits of the CPU, and the moments of everything.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include "agents/normalizer_blocks.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::same_bits;
using simt::Schedule;

constexpr int kQuantities = 3;

// Parts of one to four values, some of none.
std::vector<RunningMoments> parts_of(int count) {
  std::vector<RunningMoments> parts;
  std::uint32_t h = 7;
  for (int i = 0; i < count * kQuantities; ++i) {
    RunningMoments part{0.0, 0.0, 0.0};
    for (int k = 0; k < i % 5; ++k) {
      h = h * 1664525u + 1013904223u;
      part.merge(1.0, static_cast<double>(h >> 8) * 0x1p-24 + i % 7, 0.0);
    }
    parts.push_back(part);
  }
  return parts;
}

std::vector<double> numbers_of(const std::vector<RunningMoments>& moments) {
  std::vector<double> all;
  for (const RunningMoments& m : moments) all.insert(all.end(), {m.count, m.mean, m.squares});
  return all;
}

std::vector<double> merged(int count, const Schedule& schedule) {
  GuardedArray<RunningMoments> parts(parts_of(count)), moments(kQuantities, RunningMoments{2.0, 0.5, 0.25});
  simt::run(kQuantities, kReduceLanes, 0, schedule,
            MergeMomentsKernel{{parts.data(), count, kQuantities, moments.data()}});
  return numbers_of(moments.values());
}

TEST(MergeMoments, SameBitsOnCpuAndCudaAndTheMomentsOfAllParts) {
  for (const int count : {1, 31, 33, 257, 1000}) {
    const std::vector<RunningMoments> parts = parts_of(count);
    std::vector<RunningMoments> folded(kQuantities, {2.0, 0.5, 0.25}), serial = folded;
    const MomentsOfParts op{parts.data(), count, kQuantities, nullptr};
    for (unsigned q = 0; q < kQuantities; ++q) {
      const auto part = [&](std::size_t i) { return op.part(i, q); };
      folded[q] = MergeMoments::combine(folded[q], reduce_chunk<MergeMoments>(part, 0, parts.size() / kQuantities));
      for (std::size_t i = 0; i < parts.size() / kQuantities; ++i)
        serial[q] = MergeMoments::combine(serial[q], part(i));
    }
    const std::vector<double> expected = numbers_of(folded), exact = numbers_of(serial);
    for (std::size_t k = 0; k < exact.size(); ++k) EXPECT_NEAR(expected[k], exact[k], 1e-12 * exact[k]) << count;
    for (const Schedule& schedule : simt::all_schedules()) {
      EXPECT_TRUE(same_bits(merged(count, schedule), expected)) << count << ' ' << schedule.name();
    }
  }
}

TEST(RemovedBarriers, OfMergedMoments) {
  EXPECT_EQ(simt::expect_barriers_are_needed([](const Schedule& schedule) { return merged(257, schedule); }), 1u);
}

}  // namespace
}  // namespace stampede
