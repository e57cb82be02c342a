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

// One environment's column, backwards.
struct VtraceOp {
  RingView ring;
  VtraceConfig config;
  const float* ratios;
  const float* reward_scale;

  HD void operator()(int environment) const {
    const float scale = reward_scale ? *reward_scale : 1.0f;
    float next_value = extra(ring.index(ring.shape.rows, environment))[RolloutExtra::kValue];
    float next_target = next_value;
    for (int t = ring.shape.rows - 1; t >= 0; --t) {
      const std::size_t index = ring.index(t, environment);
      const std::uint32_t flags = ring.flags(index);
      float* const e = extra(index);
      // Nothing follows a termination, and the reset row after a truncation has a value but no target.
      if (flags & kTruncated) next_target = next_value;
      if (flags & kTerminated) next_value = next_target = 0.0f;
      const float value = e[RolloutExtra::kValue], ratio = ratios[index];
      const float weight = ratio < config.ratio_bar ? ratio : config.ratio_bar;
      const float trace = config.lambda * (ratio < config.trace_bar ? ratio : config.trace_bar);
      const float reward = fused(-config.temperature, e[RolloutExtra::kLogProb], ring.reward(index) * scale);
      const float delta = weight * (fused(config.gamma, next_value, reward) - value);
      const float target = value + fused(config.gamma * trace, next_target - next_value, delta);
      const float mixed = fused(config.lambda, next_target - next_value, next_value);
      const float advantage = (config.weighted ? weight : 1.0f) * (fused(config.gamma, mixed, reward) - value);
      const bool valid = flags & kValid;
      e[RolloutExtra::kAdvantage] = valid ? advantage : 0.0f;
      e[RolloutExtra::kReturn] = valid ? target : 0.0f;
      next_value = value;
      next_target = target;
    }
  }
  HD float* extra(std::size_t index) const {
    return ring.extra + index * static_cast<std::size_t>(ring.shape.extra_size);
  }
};

struct QLambdaOp {
  RingView ring;
  float gamma, lambda;

  HD void operator()(int begin, int end) const {
    for (int t = ring.shape.rows - 1; t >= 0; --t) row(t, begin, end);
  }

  HD void row(int t, int begin, int end) const {
    const RingView r = ring;
    const auto last = static_cast<std::uint32_t>(t == r.shape.rows - 1);
    const auto stride = static_cast<std::size_t>(r.shape.extra_size);
    float* const now = r.extra + r.index(t, 0) * stride;
    const float* const next = r.extra + r.index(t + 1, 0) * stride;
    STAMPEDE_INDEPENDENT
    for (int i = begin; i < end; ++i) {
      const std::size_t index = r.index(t, i);
      const std::uint32_t flags = r.flags(index);
      const float* const n = next + static_cast<std::size_t>(i) * stride;
      const float bootstrap = n[QRolloutExtra::kBootstrap];
      const float following = fused(lambda, n[QRolloutExtra::kReturn], (1.0f - lambda) * bootstrap);
      const float continued = (flags & kEpisodeEnd) | last ? bootstrap : following;
      const float value = flags & kTerminated ? 0.0f : continued;
      const float target = fused(gamma, value, r.reward(index));
      now[static_cast<std::size_t>(i) * stride + QRolloutExtra::kReturn] = flags & kValid ? target : 0.0f;
    }
  }
};

}  // namespace

void compute_gae(const Stream& stream, const RingView& ring, float gamma, float lambda, const float* reward_scale,
                 float temperature) {
  for_each_chunk(stream, ring.shape.environments, GaeOp{ring, gamma, lambda, temperature, reward_scale}, 128);
}

void compute_vtrace(const Stream& stream, const RingView& ring, const VtraceConfig& config, const float* ratios,
                    const float* reward_scale) {
  for_each_index(stream, ring.shape.environments, VtraceOp{ring, config, ratios, reward_scale}, 64);
}

void compute_discounted_returns(const Stream& stream, const RingView& ring, float gamma, const float* reward_scale) {
  compute_gae(stream, ring, gamma, 1.0f, reward_scale);
}

void compute_q_lambda(const Stream& stream, const RingView& ring, float gamma, float lambda) {
  for_each_chunk(stream, ring.shape.environments, QLambdaOp{ring, gamma, lambda}, 128);
}

}  // namespace stampede
