// SPDX-License-Identifier: Apache-2.0
// What is handed over of more episodes than anybody looks at.
#include "sim/episode_recorder.h"

#include <gtest/gtest.h>

namespace stampede {
namespace {

TEST(EpisodeRecorder, HandsOverTheLatestOfManyEpisodes) {
  constexpr int kSegments = 150, kEnvironments = kSegments * kEpisodeSegment, kRows = 3;
  Arena arena{Device{}};
  EpisodeRecorder measured(kEnvironments, arena);
  arena.allocate("test");
  EpisodeRecorder recorder(kEnvironments, arena);
  // Two of a segment's rows are kept, as many as it has room for; of all segments 19,200 episodes.
  for (int row = 0; row < kRows; ++row) {
    for (int i = kEnvironments - 1; i >= 0; --i) {
      recorder.view().append({static_cast<std::uint64_t>(row), i, 1, 0.0f});
    }
  }
  std::int64_t finished = 0;
  const std::vector<Episode> taken = recorder.drain(Stream::cpu(), &finished);
  EXPECT_EQ(finished, kRows * kEnvironments);
  ASSERT_EQ(taken.size(), 16384u);
  for (std::size_t k = 0; k < taken.size(); ++k) {
    const auto place = static_cast<int>(3 * kEnvironments - 16384 + k);
    ASSERT_EQ(taken[k].row, static_cast<std::uint64_t>(place / kEnvironments)) << k;
    ASSERT_EQ(taken[k].environment, place % kEnvironments) << k;
  }
}

TEST(EpisodeRecorder, ForgetsWhatItHandedOver) {
  Arena arena{Device{}};
  EpisodeRecorder measured(2, arena);
  arena.allocate("test");
  EpisodeRecorder recorder(2, arena);
  for (std::uint64_t row = 0; row < 3; ++row) {
    recorder.view().append({row, 1, 7, 2.5f});
    std::int64_t finished = 0;
    const std::vector<Episode> taken = recorder.drain(Stream::cpu(), &finished);
    EXPECT_EQ(finished, 1);
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_EQ(taken[0].row, row);
  }
}

}  // namespace
}  // namespace stampede
