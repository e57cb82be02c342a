// SPDX-License-Identifier: Apache-2.0
// The moments of a minibatch by CUDA's blocks have the bits of the CPU's loops.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include "agents/moment_blocks.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::GuardedArray;
using simt::Schedule;

// Every fifth row is invalid, and what it holds must not count.
class MinibatchOfAdvantages {
 public:
  explicit MinibatchOfAdvantages(int size)
      : size_(size), advantages_(noise(size)), valid_(static_cast<std::size_t>(size), 1) {
    for (int k = 0; k < size; k += 5) {
      valid_.data()[k] = 0;
      advantages_.data()[k] = 1e30f;
    }
    batch_.advantage = advantages_.data();
    batch_.valid = valid_.data();
  }

  std::vector<float> on_cpu(AdvantageScaling scaling) {
    MomentPart parts[kMomentParts];
    MinibatchMoments moments;
    measure_minibatch(Stream::cpu(), batch_, size_, scaling, parts, &moments);
    return all_of(moments);
  }

  std::vector<float> by_blocks(AdvantageScaling scaling, const Schedule& schedule) {
    GuardedArray<MomentPart> parts(kMomentParts, MomentPart{-1.0, -1.0, -1.0});
    GuardedArray<MinibatchMoments> moments(1, MinibatchMoments{});
    simt::run(kMomentParts, MomentPartKernel::kThreads, 0, schedule, MomentPartKernel{batch_, size_, parts.data()});
    simt::run(1, kMomentParts, 0, schedule, MomentFinishKernel{parts.data(), moments.data(), scaling});
    parts.values();
    return all_of(moments.values()[0]);
  }

 private:
  static std::vector<float> noise(int size) {
    std::vector<float> values;
    for (int k = 0; k < size; ++k) values.push_back(static_cast<float>(k * 37 % 101) / 7.0f - 3.0f);
    return values;
  }
  static std::vector<float> all_of(const MinibatchMoments& m) {
    return {m.advantage_mean, m.advantage_inverse, m.divisor};
  }

  int size_;
  GuardedArray<float> advantages_;
  GuardedArray<std::int32_t> valid_;
  RolloutBatch batch_;
};

TEST(MinibatchMomentBlocks, SameBitsAsOnACpu) {
  for (const int size : {1, 31, 33, 257, 64 * 129 + 1}) {
    MinibatchOfAdvantages minibatch(size);
    for (const auto scaling : {AdvantageScaling::kNone, AdvantageScaling::kNormalize}) {
      const std::vector<float> expected = minibatch.on_cpu(scaling);
      for (const Schedule& schedule : simt::all_schedules()) {
        EXPECT_TRUE(simt::same_bits(minibatch.by_blocks(scaling, schedule), expected))
            << size << " rows, " << schedule.name();
      }
    }
  }
}

TEST(RemovedBarriers, OfMinibatchMoments) {
  MinibatchOfAdvantages minibatch(64 * 200);
  const auto launch = [&](const Schedule& schedule) {
    return minibatch.by_blocks(AdvantageScaling::kNormalize, schedule);
  };
  EXPECT_EQ(simt::expect_barriers_are_needed(launch), 3u);
}

}  // namespace
}  // namespace stampede
