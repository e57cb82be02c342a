// SPDX-License-Identifier: Apache-2.0
#include "agents/policy_gradient_steps.h"

namespace stampede {
namespace {

// One environment's column, backwards.
struct EpisodeReturnOp {
  RingView ring;
  float gamma;
  const float* reward_scale;
  bool learned_baseline;
  RolloutBatch batch;

  HD void operator()(int environment) const {
    const float scale = reward_scale ? *reward_scale : 1.0f;
    float following = 0.0f;
    bool ends = false;
    for (int t = ring.shape.rows - 1; t >= 0; --t) {
      const std::size_t index = ring.index(t, environment);
      const std::uint32_t flags = ring.flags(index);
      if (flags & kEpisodeEnd) {
        ends = true;
        following = behind_end(ring.index(t + 1, environment), flags);
      }
      const bool counts = ends && (flags & kValid);
      following = fused(gamma, following, ring.reward(index) * scale);
      const float value = learned_baseline ? batch.old_value[index] : 0.0f;
      batch.target[index] = counts ? following : 0.0f;
      batch.advantage[index] = counts ? following - value : 0.0f;
      batch.valid[index] = counts;
    }
  }

  // What an episode's last observation, at flat index `next`, is worth to its rows.
  HD float behind_end(std::size_t next, std::uint32_t flags) const {
    if (!learned_baseline || (flags & kTerminated)) return 0.0f;
    return ring.extra[next * static_cast<std::size_t>(ring.shape.extra_size) + RolloutExtra::kValue];
  }
};

}  // namespace

void policy_gradient_tile_loss(const Stream& stream, const PolicyGradientLoss& loss, const PolicyLayout& layout,
                               const RolloutBatch& batch, const MinibatchMoments* moments, const PolicyTile& tile) {
  run_policy_loss(stream, PolicyLossRows<PolicyGradientLoss>{loss, layout, batch, moments, tile});
}

void compute_episode_returns(const Stream& stream, const RingView& ring, float gamma, const float* reward_scale,
                             bool learned_baseline, const RolloutBatch& batch) {
  for_each_index(stream, ring.shape.environments, EpisodeReturnOp{ring, gamma, reward_scale, learned_baseline, batch},
                 64);
}

}  // namespace stampede
