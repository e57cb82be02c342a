// SPDX-License-Identifier: Apache-2.0
#include "replay/returns.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

// Runs through a column from its last row to its first. Nothing that load() reads is written by work(), which no
// compiler could know: by loading several rows before the first of them is worked on, a CUDA thread waits for memory
// once for all of them.
template <class Row, class Load, class Work>
HD void for_each_row_backwards(int rows, const Load& load, const Work& work) {
  constexpr int kTogether = 8;
  for (int end = rows; end > 0; end -= kTogether) {
    Row loaded[kTogether];
#ifdef __CUDACC__
#pragma unroll
#endif
    for (int k = 0; k < kTogether; ++k) {
      if (k < end) loaded[k] = load(end - 1 - k);
    }
#ifdef __CUDACC__
#pragma unroll
#endif
    for (int k = 0; k < kTogether; ++k) {
      if (k < end) work(end - 1 - k, loaded[k]);
    }
  }
}

HD float* extra_of(const RingView& ring, std::size_t index) {
  return ring.extra + index * static_cast<std::size_t>(ring.shape.extra_size);
}

// What a row brings along, whatever the estimator.
struct PolicyRow {
  std::uint32_t flags;
  float reward, log_prob, value;
};

HD PolicyRow load_policy_row(const RingView& ring, std::size_t index) {
  const float* const e = extra_of(ring, index);
  return {ring.flags(index), ring.reward(index), e[RolloutExtra::kLogProb], e[RolloutExtra::kValue]};
}

// On a CPU one range of environments, rows backwards; the inner loop over environments vectorises. On CUDA one column.
struct GaeOp {
  RingView ring;
  float gamma, lambda, temperature;
  const float* reward_scale;

  HD void operator()(int begin, [[maybe_unused]] int end) const {
    const float scale = reward_scale ? *reward_scale : 1.0f;
#ifdef __CUDA_ARCH__
    column(begin, scale);
#else
    for (int t = ring.shape.rows - 1; t >= 0; --t) row(t, begin, end, scale);
#endif
  }

  // The advantage of a row before which `following` is that of the next one, 0 where an episode or the rollout ends.
  HD float advantage(const PolicyRow& now, float next_value, float following, float scale) const {
    const float bootstrap = now.flags & kTerminated ? 0.0f : next_value;
    const float reward = fused(-temperature, now.log_prob, now.reward * scale);
    const float delta = fused(gamma, bootstrap, reward) - now.value;
    return fused(gamma * lambda, following, delta);
  }

  HD void column(int environment, float scale) const {
    float next_value = extra_of(ring, ring.index(ring.shape.rows, environment))[RolloutExtra::kValue];
    float next_advantage = 0.0f;
    for_each_row_backwards<PolicyRow>(
        ring.shape.rows, [&](int t) { return load_policy_row(ring, ring.index(t, environment)); },
        [&](int t, const PolicyRow& now) {
          const float following = now.flags & kEpisodeEnd ? 0.0f : next_advantage;
          const float estimate = advantage(now, next_value, following, scale);
          const bool valid = now.flags & kValid;
          next_advantage = valid ? estimate : 0.0f;
          next_value = now.value;
          float* const e = extra_of(ring, ring.index(t, environment));
          e[RolloutExtra::kAdvantage] = next_advantage;
          e[RolloutExtra::kReturn] = valid ? estimate + now.value : 0.0f;
        });
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
      const PolicyRow own{flags, r.reward(index), e[RolloutExtra::kLogProb], e[RolloutExtra::kValue]};
      const float following =
          (flags & kEpisodeEnd) | static_cast<std::uint32_t>(last) ? 0.0f : n[RolloutExtra::kAdvantage];
      const float estimate = advantage(own, n[RolloutExtra::kValue], following, scale);
      const bool valid = flags & kValid;
      e[RolloutExtra::kAdvantage] = valid ? estimate : 0.0f;
      e[RolloutExtra::kReturn] = valid ? estimate + own.value : 0.0f;
    }
  }
};

// One environment's column, backwards.
struct VtraceOp {
  RingView ring;
  VtraceConfig config;
  const float* ratios;
  const float* reward_scale;

  struct Row {
    PolicyRow policy;
    float ratio;
  };

  HD void operator()(int environment) const {
    const float scale = reward_scale ? *reward_scale : 1.0f;
    float next_value = extra_of(ring, ring.index(ring.shape.rows, environment))[RolloutExtra::kValue];
    float next_target = next_value;
    for_each_row_backwards<Row>(
        ring.shape.rows,
        [&](int t) {
          const std::size_t index = ring.index(t, environment);
          return Row{load_policy_row(ring, index), ratios[index]};
        },
        [&](int t, const Row& row) {
          correct(row, scale, extra_of(ring, ring.index(t, environment)), next_value, next_target);
        });
  }

  HD void correct(const Row& row, float scale, float* e, float& next_value, float& next_target) const {
    const PolicyRow& now = row.policy;
    // Nothing follows a termination, and the reset row after a truncation has a value but no target.
    if (now.flags & kTruncated) next_target = next_value;
    if (now.flags & kTerminated) next_value = next_target = 0.0f;
    const float weight = row.ratio < config.ratio_bar ? row.ratio : config.ratio_bar;
    const float trace = config.lambda * (row.ratio < config.trace_bar ? row.ratio : config.trace_bar);
    const float reward = fused(-config.temperature, now.log_prob, now.reward * scale);
    const float delta = weight * (fused(config.gamma, next_value, reward) - now.value);
    const float target = now.value + fused(config.gamma * trace, next_target - next_value, delta);
    const float mixed = fused(config.lambda, next_target - next_value, next_value);
    const float advantage = (config.weighted ? weight : 1.0f) * (fused(config.gamma, mixed, reward) - now.value);
    const bool valid = now.flags & kValid;
    e[RolloutExtra::kAdvantage] = valid ? advantage : 0.0f;
    e[RolloutExtra::kReturn] = valid ? target : 0.0f;
    next_value = now.value;
    next_target = target;
  }
};

// As GaeOp.
struct QLambdaOp {
  RingView ring;
  float gamma, lambda;

  struct Row {
    std::uint32_t flags;
    float reward, bootstrap;
  };

  HD void operator()(int begin, [[maybe_unused]] int end) const {
#ifdef __CUDA_ARCH__
    column(begin);
#else
    for (int t = ring.shape.rows - 1; t >= 0; --t) row(t, begin, end);
#endif
  }

  // The return of a row that is followed by one with this bootstrap and this return.
  HD float folded(std::uint32_t flags, float reward, float bootstrap, float next_return, bool last) const {
    const float following = fused(lambda, next_return, (1.0f - lambda) * bootstrap);
    const float continued = (flags & kEpisodeEnd) | static_cast<std::uint32_t>(last) ? bootstrap : following;
    return fused(gamma, flags & kTerminated ? 0.0f : continued, reward);
  }

  HD void column(int environment) const {
    const int rows = ring.shape.rows;
    float bootstrap = extra_of(ring, ring.index(rows, environment))[QRolloutExtra::kBootstrap], next_return = 0.0f;
    for_each_row_backwards<Row>(
        rows,
        [&](int t) {
          const std::size_t index = ring.index(t, environment);
          return Row{ring.flags(index), ring.reward(index), extra_of(ring, index)[QRolloutExtra::kBootstrap]};
        },
        [&](int t, const Row& now) {
          const float target = folded(now.flags, now.reward, bootstrap, next_return, t == rows - 1);
          next_return = now.flags & kValid ? target : 0.0f;
          bootstrap = now.bootstrap;
          extra_of(ring, ring.index(t, environment))[QRolloutExtra::kReturn] = next_return;
        });
  }

  HD void row(int t, int begin, int end) const {
    const RingView r = ring;
    const bool last = t == r.shape.rows - 1;
    const auto stride = static_cast<std::size_t>(r.shape.extra_size);
    float* const now = r.extra + r.index(t, 0) * stride;
    const float* const next = r.extra + r.index(t + 1, 0) * stride;
    STAMPEDE_INDEPENDENT
    for (int i = begin; i < end; ++i) {
      const std::size_t index = r.index(t, i);
      const std::uint32_t flags = r.flags(index);
      const float* const n = next + static_cast<std::size_t>(i) * stride;
      const float target =
          folded(flags, r.reward(index), n[QRolloutExtra::kBootstrap], n[QRolloutExtra::kReturn], last);
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
