// SPDX-License-Identifier: Apache-2.0
// The kernel of a whole rollout: policy, sampling, environment step and stores for T rows in one launch.
//
// A warp owns 32 environments and a lane's own one lies in its registers; weights lie in shared memory, staged once per
// launch. After that only the two warps of an episode segment wait for each other, so that episodes enter its log row
// by row. What a row is made of is the code of the stepwise path: choose_categorical, choose_gaussian,
// choose_by_values, EnvLane.
#pragma once

#include "agents/exploration.h"
#include "agents/policy_choice.h"
#include "agents/value_heads.h"
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
  unsigned block_environments;

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    policy.stage(shared);
    __syncthreads();
    const int thread = static_cast<int>(threadIdx.x);
    const int first = static_cast<int>(blockIdx.x * block_environments) + thread / 32 * 32;
    if (threadIdx.x >= block_environments || first >= rows.environments) return;
    roll(shared, shared + policy.weight_size() + thread / 32 * policy.warp_size(), first + thread % 32);
  }

 private:
  DEVICE void roll(const float* weights, float* scratch, int i) const {
    const int n = rows.environments;
    const bool active = i < n;
    const int environment = active ? i : n - 1;  // lanes without one take part in the products
    EnvLane<E> env;
    env.load(batch, environment);
    int slot = rows.first_slot;
    std::size_t index = flat_index(slot, environment);
    typename Shape::Obs obs;
    load_words(rows.first_obs + static_cast<std::size_t>(environment) * Shape::kObsWords, obs);
    if (active && rows.first_obs != rows.obs + flat_index(slot, 0) * Shape::kObsWords) {
      store_words(rows.obs + index * Shape::kObsWords, obs);
    }
    const bool paired = i / kEpisodeSegment * kEpisodeSegment + 32 < n;
    const unsigned pair = threadIdx.x / kEpisodeSegment + 1;
    for (int t = 0;; ++t) {
      const bool head = t == rows.steps;
      if (head && !rows.acts_on_head) break;
      if (paired) sync_some_warps(pair, kEpisodeSegment);
      typename Shape::Record record;
      act(weights, scratch, obs, {t, environment, index, active, head}, record);
      if (head) break;
      env.step(batch, environment, rows.first_row + static_cast<std::uint64_t>(t), active, record);
      env.observe(batch, obs);
      if (active) store_words(rows.records + index * Shape::kRecordWords, record);
      slot = slot + 1 < rows.slots ? slot + 1 : 0;
      index = flat_index(slot, environment);
      if (active) store_words(rows.obs + index * Shape::kObsWords, obs);
    }
    if (active) env.store(batch, environment);
  }

  DEVICE std::size_t flat_index(int slot, int environment) const {
    return static_cast<std::size_t>(slot) * static_cast<std::size_t>(rows.environments) +
           static_cast<std::size_t>(environment);
  }

  // One row of one environment.
  struct Row {
    int t, environment;
    std::size_t index;  // flat in the ring
    bool active, head;
  };
  struct ValueChoice {
    int greedy = 0, action = 0;
    float epsilon = 0.0f;
  };

  // Puts an action into the record, and what the method stores beside it into the ring. Action values have a second
  // pass where a target network says what the row is worth.
  DEVICE void act(const float* weights, float* scratch, const typename Shape::Obs& obs, const Row& row,
                  typename Shape::Record& record) const {
    const bool values = Shape::kDiscrete && rows.head == FusedHead::kValues;
    const bool chosen = Policy::kBootstraps && values && rows.values.first_is_chosen && row.t == 0;
    if (chosen) record[0] = rows.records[row.index * Shape::kRecordWords];
    const int towers = policy.network.towers, passes = chosen ? 0 : Policy::kBootstraps && values ? towers : 1;
    ValueChoice choice;
    for (int pass = 0; pass < passes; ++pass) {
      typename Shape::Outputs outputs = {};
      policy.evaluate(weights, scratch, obs, pass, values ? pass + 1 : towers, outputs);
      if constexpr (Shape::kDiscrete) {
        if (values) {
          if (rows.values.dueling) to_values(outputs);
          if (pass == 0) choice = choose_by_values(outputs, row, record);
          if (Policy::kBootstraps && pass == passes - 1) store_bootstrap(outputs, row, choice);
          continue;
        }
      }
      choose(outputs, row, record);
    }
  }

  DEVICE float* extra(const Row& row) const {
    return rows.extra + row.index * static_cast<std::size_t>(rows.extra_size);
  }

  // Dueling heads [value, advantages...] become action values.
  static DEVICE void to_values(typename Shape::Outputs& outputs) {
    ValueHeads heads;
    heads.actions = Shape::kPolicy;
    heads.support.atoms = 1;
    heads.dueling = true;
    const float shift = heads.shift(outputs, 0);
    UNROLL
    for (int a = 0; a < Shape::kPolicy; ++a) outputs[a] = outputs[a + 1] + shift;
  }

  DEVICE ValueChoice choose_by_values(const typename Shape::Outputs& q, const Row& row,
                                      typename Shape::Record& record) const {
    const FusedExploration& all = rows.values.exploration;
    const FusedExploration::Row& now = all.row[row.t];
    const Epsilon share{now.epsilon, now.own ? all.final_epsilons : nullptr, all.start, now.progress};
    const float epsilon = share.of(row.environment);
    const RandomKey key{rows.seed, rows.first_row + static_cast<std::uint64_t>(row.t), Purpose::kExploration};
    const int greedy = argmax(q, Shape::kPolicy);
    const int action = explore(q, Shape::kPolicy, greedy, epsilon, now.temperature, key, row.environment);
    record[0] = static_cast<std::uint32_t>(action);
    if (row.active && row.head) rows.records[row.index * Shape::kRecordWords] = record[0];
    return {greedy, action, epsilon};
  }

  DEVICE void store_bootstrap(const typename Shape::Outputs& q, const Row& row, const ValueChoice& choice) const {
    if (!rows.values.bootstraps || !row.active) return;
    extra(row)[QRolloutExtra::kBootstrap] =
        bootstrap_value(rows.values.bootstrap, q, Shape::kPolicy, choice.greedy, choice.action, choice.epsilon);
  }

  // By a policy; of the head only the value.
  DEVICE void choose(const typename Shape::Outputs& outputs, const Row& row, typename Shape::Record& record) const {
    if (row.head) {
      if (row.active) extra(row)[RolloutExtra::kValue] = outputs[Shape::kPolicy];
      return;
    }
    const auto lane = static_cast<std::uint32_t>(row.environment);
    const RandomKey key{rows.seed, rows.first_row + static_cast<std::uint64_t>(row.t), Purpose::kAction};
    float log_prob = 0.0f;
    if constexpr (Shape::kDiscrete) {
      const CategoricalChoice choice = choose_categorical(outputs, Shape::kPolicy, key.lane_word(lane), false);
      record[0] = static_cast<std::uint32_t>(choice.action);
      log_prob = choice.log_prob;
    } else {
      Rng rng(key, lane);
      UNROLL
      for (int k = 0; k < Shape::kPolicy; ++k) {
        const GaussianChoice choice = choose_gaussian(outputs[k], rows.log_sigma[k], rng, false);
        record[k] = float_bits(clamp(choice.action, rows.action.low[k], rows.action.high[k]));
        if (row.active) extra(row)[RolloutExtra::kAction + k] = choice.action;
        log_prob += choice.log_prob;
      }
    }
    if (!row.active) return;
    store_words(reinterpret_cast<std::uint32_t*>(extra(row)),
                {float_bits(log_prob), float_bits(outputs[Shape::kPolicy])});
  }
};

#endif

}  // namespace stampede
