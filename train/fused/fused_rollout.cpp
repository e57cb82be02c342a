// SPDX-License-Identifier: Apache-2.0
#include "train/fused/fused_rollout.h"

#include <utility>

#include <algorithm>

namespace stampede {

FusedLaunch fused_launch(std::size_t weights, std::size_t warp, int environments, const DeviceLimits& limits) {
  // With more warps a block's registers no longer leave room for a second block on the multiprocessor.
  constexpr std::size_t kMostPairs = 3;
  if (limits.shared_per_block < weights + 2 * warp) return {};
  const auto total = static_cast<std::size_t>((environments + kEpisodeSegment - 1) / kEpisodeSegment);
  const auto blocks = static_cast<std::size_t>(limits.multiprocessors);
  const std::size_t pairs =
      std::min({kMostPairs, (limits.shared_per_block - weights) / (2 * warp), (total + blocks - 1) / blocks});
  constexpr std::size_t kFetching = 256;
  const std::size_t grid = (total + pairs - 1) / pairs, stepping = kEpisodeSegment * pairs;
  return {static_cast<unsigned>(grid), static_cast<unsigned>(grid > blocks ? stepping : std::max(stepping, kFetching)),
          static_cast<unsigned>(stepping), weights + 2 * pairs * warp};
}

std::unique_ptr<FusedRollout> find_launchable_rollout(const Stream& stream, const VectorEnv& env,
                                                      const FusedNetwork& network, Precision precision,
                                                      FusedLaunch& shape, std::string& reason) {
  std::unique_ptr<FusedRollout> rollout = find_fused_rollout(env, precision);
  reason = std::string("no kernel was compiled for ") + env.spec().id;
  if (rollout == nullptr) return nullptr;
  shape = rollout->shape(network, env.size(), device_limits(stream.device()));
  reason = "the network is too large for this device's shared memory";
  return shape.grid == 0 ? nullptr : std::move(rollout);
}

}  // namespace stampede
