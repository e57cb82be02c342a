// SPDX-License-Identifier: Apache-2.0
#include "sim/episode_recorder.h"

#include <algorithm>
#include <tuple>

#include "kernels/buffer.h"

namespace stampede {

EpisodeRecorder::EpisodeRecorder(int environments, Arena& arena)
    : segments_((environments + kEpisodeSegment - 1) / kEpisodeSegment),
      episodes_(arena.take<Episode>(static_cast<std::size_t>(segments_) * kEpisodesKept)),
      counts_(arena.take<std::uint32_t>(static_cast<std::size_t>(segments_))) {}

std::vector<Episode> EpisodeRecorder::drain(const Stream& stream, std::int64_t* finished) const {
  const std::vector<std::uint32_t> counts = to_host(stream, counts_);
  std::int64_t total = 0;
  for (const std::uint32_t count : counts) total += count;
  if (finished != nullptr) *finished = total;
  std::vector<Episode> drained;
  if (total == 0) return drained;
  const std::vector<Episode> all = to_host(stream, episodes_);
  for (std::size_t s = 0; s < counts.size(); ++s) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(s * kEpisodesKept);
    drained.insert(drained.end(), begin, begin + std::min<std::uint32_t>(counts[s], kEpisodesKept));
  }
  std::sort(drained.begin(), drained.end(), [](const Episode& a, const Episode& b) {
    return std::tie(a.row, a.environment) < std::tie(b.row, b.environment);
  });
  fill_zero(stream, counts_.data, counts_.size() * sizeof(std::uint32_t));
  return drained;
}

}  // namespace stampede
