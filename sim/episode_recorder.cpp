// SPDX-License-Identifier: Apache-2.0
#include "sim/episode_recorder.h"

#include <algorithm>
#include <tuple>

#include "kernels/buffer.h"

namespace stampede {
namespace {

// Most that are handed over at a time: sorting the episodes of a million environments would take the host longer than a
// GPU takes for the next iteration.
constexpr std::size_t kMostTaken = 1 << 14;

}  // namespace

EpisodeRecorder::EpisodeRecorder(int environments, Arena& arena)
    : segments_((environments + kEpisodeSegment - 1) / kEpisodeSegment),
      episodes_(arena.take<Episode>(static_cast<std::size_t>(segments_) * kEpisodesKept)),
      counts_(arena.take<std::uint32_t>(static_cast<std::size_t>(segments_))) {}

void EpisodeRecorder::request(const Stream& stream) {
  counts_readback_.request(stream, counts_);
  episodes_readback_.request(stream, episodes_);
  fill_zero(stream, counts_.data, counts_.size() * sizeof(std::uint32_t));
}

std::vector<Episode> EpisodeRecorder::take(const Stream& stream, std::int64_t* finished) const {
  const std::span<const std::uint32_t> counts = counts_readback_.wait(stream);
  const std::span<const Episode> episodes = episodes_readback_.wait(stream);
  std::int64_t total = 0;
  std::vector<Episode> taken;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    total += counts[s];
    const auto kept = episodes.subspan(s * kEpisodesKept, std::min<std::uint32_t>(counts[s], kEpisodesKept));
    taken.insert(taken.end(), kept.begin(), kept.end());
  }
  if (finished != nullptr) *finished = total;
  const auto earlier = [](const Episode& a, const Episode& b) {
    return std::tie(a.row, a.environment) < std::tie(b.row, b.environment);
  };
  if (taken.size() > kMostTaken) {
    const auto first_kept = taken.end() - static_cast<std::ptrdiff_t>(kMostTaken);
    std::nth_element(taken.begin(), first_kept, taken.end(), earlier);
    taken.erase(taken.begin(), first_kept);
  }
  std::sort(taken.begin(), taken.end(), earlier);
  return taken;
}

}  // namespace stampede
