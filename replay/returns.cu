// SPDX-License-Identifier: Apache-2.0
#include "replay/returns.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

// One range of environments, rows backwards; the inner loop over environments vectorises.
struct GaeOp {
  RingView ring;
  float gamma, lambda, temperature;
  const float* reward_scale;

  HD void operator()(int begin, int end) const {
    const float scale = reward_scale ? *reward_scale : 1.0f;
    for (int t = ring.shape.rows - 1; t >= 0; --t) row(t, begin, end, scale);
  }

  HD void row(int t, int begin, int end, float scale) const {
    const RingView r = ring;
    const bool last = t == r.shape.rows - 1;
    const auto stride = static_cast<std::size_t>(r.shape.extra_size);
    float* const now = r.extra + r.index(t, 0) * stride;
    const float* const next = r.extra + r.index(t + 1, 0) * stride;
    STAMPEDE_INDEPENDENT
    for (int i = begin; i < end; ++i) {
      const std::size_t index = r.index(t, i);
      const std::uint32_t flags = r.flags(index);
      float* const e = now + static_cast<std::size_t>(i) * stride;
      const float* const n = next + static_cast<std::size_t>(i) * stride;
      const float value = e[RolloutExtra::kValue];
      const float bootstrap = flags & kTerminated ? 0.0f : n[RolloutExtra::kValue];
      const float following =
          (flags & kEpisodeEnd) | static_cast<std::uint32_t>(last) ? 0.0f : n[RolloutExtra::kAdvantage];
      const float reward = fused(-temperature, e[RolloutExtra::kLogProb], r.reward(index) * scale);
      const float delta = fused(gamma, bootstrap, reward) - value;
      const float advantage = fused(gamma * lambda, following, delta);
      const bool valid = flags & kValid;
      e[RolloutExtra::kAdvantage] = valid ? advantage : 0.0f;
      e[RolloutExtra::kReturn] = valid ? advantage + value : 0.0f;
    }
  }
};

}  // namespace

void compute_gae(const Stream& stream, const RingView& ring, float gamma, float lambda, const float* reward_scale,
                 float temperature) {
  for_each_chunk(stream, ring.shape.environments, GaeOp{ring, gamma, lambda, temperature, reward_scale}, 128);
}

void compute_discounted_returns(const Stream& stream, const RingView& ring, float gamma, const float* reward_scale) {
  compute_gae(stream, ring, gamma, 1.0f, reward_scale);
}

}  // namespace stampede
