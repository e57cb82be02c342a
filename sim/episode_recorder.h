// SPDX-License-Identifier: Apache-2.0
// Remembers the most recent finished episodes on the device, without atomics on the CPU, until the host asks.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/arena.h"
#include "kernels/hd.h"
#include "kernels/readback.h"
#include "kernels/stream.h"

namespace stampede {

struct Episode {
  std::uint64_t row = 0;  // at which it ended
  std::int32_t environment = 0;
  std::int32_t length = 0;      // steps
  float episode_return = 0.0f;  // undiscounted
  std::int32_t reserved = 0;
};

// Environments are logged in segments of 64, each owned by one CPU thread, each keeping its last 128 episodes: the last
// 100 of the whole batch are always among them.
inline constexpr int kEpisodeSegment = 64;
inline constexpr int kEpisodesKept = 128;

struct EpisodeRecorderView {
  Episode* episodes = nullptr;      // [segments, kEpisodesKept]
  std::uint32_t* counts = nullptr;  // [segments], since the last drain

  HD void append(const Episode& episode) const {
    const int segment = episode.environment / kEpisodeSegment;
#ifdef __CUDA_ARCH__
    const std::uint32_t k = atomicAdd(&counts[segment], 1u);
#else
    const std::uint32_t k = counts[segment]++;
#endif
    episodes[static_cast<std::size_t>(segment) * kEpisodesKept + k % kEpisodesKept] = episode;
  }
};

class EpisodeRecorder {
 public:
  EpisodeRecorder(int environments, Arena& arena);

  EpisodeRecorderView view() const { return {episodes_.data, counts_.data}; }

  // Asks for the kept episodes, which are forgotten on the device; waits for nothing.
  void request(const Stream& stream);
  // The last 16,384 of the latest request, by (row, environment). `finished` gets the number of episodes that ended
  // before it and since the request before, kept or not. Waits for the request's copies alone.
  std::vector<Episode> take(const Stream& stream, std::int64_t* finished) const;
  // Both at once; waits for the stream.
  std::vector<Episode> drain(const Stream& stream, std::int64_t* finished) {
    request(stream);
    return take(stream, finished);
  }

 private:
  int segments_;
  View<Episode> episodes_;
  View<std::uint32_t> counts_;
  Readback<Episode> episodes_readback_;
  Readback<std::uint32_t> counts_readback_;
};

}  // namespace stampede
