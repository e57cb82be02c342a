// SPDX-License-Identifier: Apache-2.0
// The kernel of a whole rollout: policy, sampling, environment step and stores for T rows in one launch.
//
// A warp owns 32 environments and a lane's own one lies in its registers; weights lie in shared memory, staged once per
// launch. After that only the two warps of an episode segment wait for each other, so that episodes enter its log row
// by row. What a row is made of is the code of the stepwise path: choose_categorical, choose_gaussian, EnvLane.
#pragma once

#include "agents/policy_choice.h"
#include "kernels/block.h"
#include "replay/returns.h"
#include "sim/env_lane.h"
#include "train/fused/fused_rollout.h"
#include "train/fused/rollout_shape.h"

namespace stampede {

#ifdef STAMPEDE_BLOCK_KERNELS

#ifdef __CUDACC__
// Of some of a block's warps: barrier in [1, 4), threads a multiple of 32. The numbers are constants because ptxas
// reserves all sixteen barriers for one that it does not know.
DEVICE void sync_some_warps(unsigned barrier, unsigned threads) {
  if (barrier == 1) asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory");
  if (barrier == 2) asm volatile("bar.sync 2, %0;" ::"r"(threads) : "memory");
  if (barrier == 3) asm volatile("bar.sync 3, %0;" ::"r"(threads) : "memory");
}
#endif

// 32-bit words that one instruction moves; as many of kCount as their alignment allows.
template <int kCount>
struct WordPack {
  static constexpr int kWords = kCount % 4 == 0 ? 4 : kCount % 2 == 0 ? 2 : 1;
  struct alignas(kWords * 4) Pack {
    std::uint32_t word[kWords];
  };
};

template <int kCount>
DEVICE void store_words(std::uint32_t* to, const std::uint32_t (&words)[kCount]) {
  using Pack = typename WordPack<kCount>::Pack;
  constexpr int kWords = WordPack<kCount>::kWords;
  UNROLL
  for (int w = 0; w < kCount; w += kWords) {
    Pack pack;
    UNROLL
    for (int k = 0; k < kWords; ++k) pack.word[k] = words[w + k];
    *reinterpret_cast<Pack*>(to + w) = pack;
  }
}

template <int kCount>
DEVICE void load_words(const std::uint32_t* from, std::uint32_t (&words)[kCount]) {
  using Pack = typename WordPack<kCount>::Pack;
  constexpr int kWords = WordPack<kCount>::kWords;
  UNROLL
  for (int w = 0; w < kCount; w += kWords) {
    const Pack pack = *reinterpret_cast<const Pack*>(from + w);
    UNROLL
    for (int k = 0; k < kWords; ++k) words[w + k] = pack.word[k];
  }
}

// Policy: how a warp evaluates the network for its lanes' observations (fp32_policy_blocks.h, bf16_policy_blocks.h).
template <class E, class Policy>
struct RolloutKernel {
  using Shape = RolloutShape<E>;

  EnvBatch<E> batch;
  Policy policy;
  FusedRows rows;

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    policy.stage(shared);
    __syncthreads();
    const int thread = static_cast<int>(threadIdx.x);
    const int first = static_cast<int>(blockIdx.x * blockDim.x) + thread / 32 * 32;
    if (first >= rows.environments) return;
    roll(shared, shared + policy.weight_size() + thread / 32 * policy.warp_size(), first + thread % 32);
  }

 private:
  DEVICE void roll(const float* weights, float* scratch, int i) const {
    const int n = rows.environments;
    const bool active = i < n;
    const int environment = active ? i : n - 1;  // lanes without one take part in the products
    EnvLane<E> env;
    env.load(batch, environment);
    std::size_t index = static_cast<std::size_t>(environment);  // of the row, flat in the ring
    typename Shape::Obs obs;
    load_words(rows.obs + index * Shape::kObsWords, obs);
    const bool paired = i / kEpisodeSegment * kEpisodeSegment + 32 < n;
    const unsigned pair = threadIdx.x / kEpisodeSegment + 1;
    for (int t = 0;; ++t, index += static_cast<std::size_t>(n)) {
      if (paired) sync_some_warps(pair, kEpisodeSegment);
      typename Shape::Outputs outputs = {};
      policy.evaluate(weights, scratch, obs, outputs);
      float* const extra = rows.extra + index * static_cast<std::size_t>(rows.extra_size);
      if (t == rows.steps) {
        if (active) extra[RolloutExtra::kValue] = outputs[Shape::kPolicy];
        break;
      }
      const std::uint64_t row = rows.first_row + static_cast<std::uint64_t>(t);
      typename Shape::Record record;
      choose(outputs, environment, row, active, extra, record);
      env.step(batch, environment, row, active, record);
      env.observe(batch, obs);
      if (active) {
        store_words(rows.records + index * Shape::kRecordWords, record);
        store_words(rows.obs + (index + static_cast<std::size_t>(n)) * Shape::kObsWords, obs);
      }
    }
    if (active) env.store(batch, environment);
  }

  DEVICE void choose(const typename Shape::Outputs& outputs, int i, std::uint64_t row, bool active, float* extra,
                     typename Shape::Record& record) const {
    const RandomKey key{rows.seed, row, Purpose::kAction};
    float log_prob = 0.0f;
    if constexpr (Shape::kDiscrete) {
      const CategoricalChoice choice =
          choose_categorical(outputs, Shape::kPolicy, key.lane_word(static_cast<std::uint32_t>(i)), false);
      record[0] = static_cast<std::uint32_t>(choice.action);
      log_prob = choice.log_prob;
    } else {
      Rng rng(key, static_cast<std::uint32_t>(i));
      UNROLL
      for (int k = 0; k < Shape::kPolicy; ++k) {
        const GaussianChoice choice = choose_gaussian(outputs[k], rows.log_sigma[k], rng, false);
        record[k] = float_bits(clamp(choice.action, rows.action.low[k], rows.action.high[k]));
        if (active) extra[RolloutExtra::kAction + k] = choice.action;
        log_prob += choice.log_prob;
      }
    }
    if (active)
      store_words(reinterpret_cast<std::uint32_t*>(extra), {float_bits(log_prob), float_bits(outputs[Shape::kPolicy])});
  }
};

#endif

}  // namespace stampede
