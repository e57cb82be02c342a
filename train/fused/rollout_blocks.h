// SPDX-License-Identifier: Apache-2.0
// The kernel of a whole rollout: policy, sampling, environment step and stores for T rows in one launch, in fp32 and
// with the bits of the stepwise path.
//
// A warp owns 32 environments, a lane's own environment lies in its registers, and weights lie in shared memory, staged
// once per launch. The second layer, nine tenths of the work, is a product of the warp's 32 rows with tiles of 64
// columns: a lane has 8 rows x 8 columns of it in registers, so that four 128-bit reads of shared memory feed 64
// multiply-adds. First layer and head have few inputs or outputs and are computed by each lane for its own environment.
// After staging only the two warps of an episode segment wait for each other, so that episodes enter its log row by
// row.
#pragma once

#include "agents/normalizer.h"
#include "agents/policy_choice.h"
#include "kernels/gemm_blocks.h"
#include "replay/returns.h"
#include "sim/env_lane.h"
#include "train/fused/fused_rollout.h"

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

DEVICE Pack<4> load_pack(const float* from) { return *reinterpret_cast<const Pack<4>*>(from); }

template <int kCount>
DEVICE void activate_all(GemmActivation activation, float (&values)[kCount]) {
  if (activation == GemmActivation::kTanh) {
    UNROLL
    for (float& value : values) value = tanh_of(value);
  } else if (activation == GemmActivation::kRelu) {
    UNROLL
    for (float& value : values) value = activate(value, GemmActivation::kRelu);
  }
}

template <class E>
struct RolloutKernel {
  using Batch = EnvBatch<E>;
  static constexpr Space kAction = E::specs[0].action;
  static constexpr bool kDiscrete = kAction.is_discrete();
  static constexpr bool kOneHot = E::specs[0].observation.is_discrete();
  static constexpr int kObsWords = Batch::kObsWords;
  static constexpr int kPolicy = kDiscrete ? kAction.count : kAction.size;
  static constexpr int kOutputs = kPolicy + 1;                // and the value
  static constexpr int kHeadStride = (kOutputs + 3) / 4 * 4;  // of a head's weights in shared memory
  static constexpr int kPitch = FusedNetwork::kPitch, kTile = FusedNetwork::kTile;

  Batch batch;
  FusedNetwork network;
  FusedRows rows;

  DEVICE void operator()() const {
    DYNAMIC_SHARED(float, shared);
    stage(shared);
    __syncthreads();
    const int warp = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32;
    const int first = (static_cast<int>(blockIdx.x) * warps + warp) * FusedNetwork::kLanes;
    if (first >= rows.environments) return;
    float* const activations = shared + network.towers * network.tower_size(kHeadStride) + warp * network.warp_size();
    roll(shared, activations, first + lane());
  }

 private:
  static DEVICE int lane() { return static_cast<int>(threadIdx.x) % 32; }

  // --- weights into shared memory ---

  DEVICE void stage(float* shared) const {
    for (int t = 0; t < network.towers; ++t, shared += network.tower_size(kHeadStride)) {
      const FusedTower& tower = network.tower[t];
      float* to = shared;
      to = copy_rows(to, tower, 0, network.input, network.hidden1, network.hidden1);
      to = copy_rows(to, tower, 1, network.hidden1, network.hidden2, network.columns());
      copy_rows(to, tower, 2, network.hidden2, tower.stride[2] < kHeadStride ? tower.stride[2] : kHeadStride,
                kHeadStride);
    }
  }

  // A layer's weights and bias side by side, [in + 1, to_stride]. Columns of the second layer are permuted within their
  // tile so that a lane's columns, 8 apart, are read by two 128-bit loads.
  DEVICE float* copy_rows(float* to, const FusedTower& tower, int layer, int in, int out, int to_stride) const {
    for (int e = static_cast<int>(threadIdx.x); e < (in + 1) * to_stride; e += static_cast<int>(blockDim.x)) {
      const int row = e / to_stride, place = e % to_stride;
      const int column = layer == 1 ? place / kTile * kTile + tile_column(place % kTile) : place;
      const std::size_t from =
          row < in ? tower.weight[layer] + static_cast<std::size_t>(row * tower.stride[layer]) : tower.bias[layer];
      to[e] = column < out ? network.parameters[from + static_cast<std::size_t>(column)] : 0.0f;
    }
    return to + (in + 1) * to_stride;
  }
  // The column at a place of a staged tile: lane group g's first four columns g, g + 8, ... lie at 4 g, its last four
  // behind the first half.
  static DEVICE int tile_column(int place) { return place % 32 / 4 + 8 * (place / 32 * 4 + place % 4); }

  // --- the rollout of one warp ---

  DEVICE void roll(const float* weights, float* activations, int i) const {
    const int n = rows.environments;
    const bool active = i < n;
    const int environment = active ? i : n - 1;  // lanes without one take part in the products
    EnvLane<E> env;
    env.load(batch, environment);
    std::size_t index = static_cast<std::size_t>(environment);  // of the row, flat in the ring
    std::uint32_t obs[kObsWords];
    load_words(rows.obs + index * kObsWords, obs);
    const bool paired = i / kEpisodeSegment * kEpisodeSegment + FusedNetwork::kLanes < n;
    const unsigned pair = threadIdx.x / kEpisodeSegment + 1;
    for (int t = 0;; ++t, index += static_cast<std::size_t>(n)) {
      if (paired) sync_some_warps(pair, kEpisodeSegment);
      float outputs[kOutputs];
      evaluate(weights, activations, obs, outputs);
      float* const extra = rows.extra + index * static_cast<std::size_t>(rows.extra_size);
      if (t == rows.steps) {
        if (active) extra[RolloutExtra::kValue] = outputs[kPolicy];
        break;
      }
      const std::uint64_t row = rows.first_row + static_cast<std::uint64_t>(t);
      std::uint32_t record[Batch::kRecord.words];
      choose(outputs, environment, row, active, extra, record);
      env.step(batch, environment, row, active, record);
      env.observe(batch, obs);
      if (active) {
        store_words(rows.records + index * Batch::kRecord.words, record);
        store_words(rows.obs + (index + static_cast<std::size_t>(n)) * kObsWords, obs);
      }
    }
    if (active) env.store(batch, environment);
  }

  DEVICE void choose(const float (&outputs)[kOutputs], int i, std::uint64_t row, bool active, float* extra,
                     std::uint32_t (&record)[Batch::kRecord.words]) const {
    const RandomKey key{rows.seed, row, Purpose::kAction};
    float log_prob = 0.0f;
    if constexpr (kDiscrete) {
      const CategoricalChoice choice =
          choose_categorical(outputs, kPolicy, key.lane_word(static_cast<std::uint32_t>(i)), false);
      record[0] = static_cast<std::uint32_t>(choice.action);
      log_prob = choice.log_prob;
    } else {
      Rng rng(key, static_cast<std::uint32_t>(i));
      UNROLL
      for (int k = 0; k < kPolicy; ++k) {
        const GaussianChoice choice = choose_gaussian(outputs[k], rows.log_sigma[k], rng, false);
        record[k] = float_bits(clamp(choice.action, rows.action.low[k], rows.action.high[k]));
        if (active) extra[RolloutExtra::kAction + k] = choice.action;
        log_prob += choice.log_prob;
      }
    }
    if (active)
      store_words(reinterpret_cast<std::uint32_t*>(extra), {float_bits(log_prob), float_bits(outputs[kPolicy])});
  }

  // --- the network ---

  // outputs = [policy..., value] of this lane's environment.
  DEVICE void evaluate(const float* weights, float* activations, const std::uint32_t (&obs)[kObsWords],
                       float (&outputs)[kOutputs]) const {
    const int columns = network.columns();
    for (int t = 0; t < network.towers; ++t, weights += network.tower_size(kHeadStride)) {
      const float* const second = weights + (network.input + 1) * network.hidden1;
      const float* const head = second + (network.hidden1 + 1) * columns;
      first_layer(network.tower[t], weights, obs, activations);
      __syncwarp();
      start_head(t, head + network.hidden2 * kHeadStride, outputs);
      for (int column = 0; column < columns; column += kTile) {
        float sums[8][8];
        multiply_tile(second + column, activations, sums);
        UNROLL
        for (float(&row)[8] : sums) activate_all(network.activation, row);
        float* tile = activations;
        if (columns > kTile) tile += network.first_size();
        __syncwarp();  // where the tile replaces the first layer's values, all lanes have read those
        store_tile(sums, tile);
        __syncwarp();
        const int left = network.hidden2 - column;
        add_head(t, head + column * kHeadStride, tile, left < kTile ? left : kTile, outputs);
      }
      __syncwarp();
    }
  }

  // This lane's column of activations [hidden1, kPitch], four at a time.
  DEVICE void first_layer(const FusedTower& tower, const float* weights, const std::uint32_t (&obs)[kObsWords],
                          float* activations) const {
    const float* const bias = weights + network.input * network.hidden1;
    float x[kObsWords];
    if constexpr (!kOneHot) {
      UNROLL
      for (int k = 0; k < kObsWords; ++k) {
        x[k] = bits_float(obs[k]);
        if (network.mean != nullptr) x[k] = normalized_observation(x[k], network.mean[k], network.inverse[k]);
      }
    }
    for (int j = 0; j < network.hidden1; j += 4) {
      Pack<4> sum = load_pack(bias + j);
      if constexpr (kOneHot) {
        const std::size_t row = obs[0] * static_cast<std::size_t>(tower.stride[0]) + static_cast<std::size_t>(j);
        const Pack<4> w = load_pack(network.parameters + tower.weight[0] + row);
        UNROLL
        for (int c = 0; c < 4; ++c) sum.value[c] += w.value[c];
      } else {
        UNROLL
        for (int k = 0; k < kObsWords; ++k) {
          const Pack<4> w = load_pack(weights + k * network.hidden1 + j);
          UNROLL
          for (int c = 0; c < 4; ++c) sum.value[c] = fused(x[k], w.value[c], sum.value[c]);
        }
      }
      activate_all(network.activation, sum.value);
      UNROLL
      for (int c = 0; c < 4; ++c) activations[(j + c) * kPitch + lane()] = sum.value[c];
    }
  }

  // Rows 8 (lane / 8) + i and columns lane % 8 + 8 j of the tile.
  DEVICE void multiply_tile(const float* w, const float* activations, float (&sums)[8][8]) const {
    const int stride = network.columns();
    const float* right = w + lane() % 8 * 4;
    const float* left = activations + lane() / 8 * 8;
    const float* const bias = right + network.hidden1 * stride;
    UNROLL
    for (int h = 0; h < 2; ++h) {
      const Pack<4> start = load_pack(bias + 32 * h);
      UNROLL
      for (int i = 0; i < 8; ++i) {
        UNROLL
        for (int c = 0; c < 4; ++c) sums[i][4 * h + c] = start.value[c];
      }
    }
#ifdef __CUDACC__
#pragma unroll 4
#endif
    for (int k = 0; k < network.hidden1; ++k, left += kPitch, right += stride) {
      const Pack<4> a[2] = {load_pack(left), load_pack(left + 4)}, b[2] = {load_pack(right), load_pack(right + 32)};
      UNROLL
      for (int i = 0; i < 8; ++i) {
        UNROLL
        for (int j = 0; j < 8; ++j) sums[i][j] = fused(a[i / 4].value[i % 4], b[j / 4].value[j % 4], sums[i][j]);
      }
    }
  }

  static DEVICE void store_tile(const float (&sums)[8][8], float* tile) {
    float* const to = tile + lane() % 8 * kPitch + lane() / 8 * 8;
    UNROLL
    for (int j = 0; j < 8; ++j) {
      UNROLL
      for (int half = 0; half < 2; ++half) {
        Pack<4> pack;
        UNROLL
        for (int i = 0; i < 4; ++i) pack.value[i] = sums[4 * half + i][j];
        *reinterpret_cast<Pack<4>*>(to + 8 * j * kPitch + 4 * half) = pack;
      }
    }
  }

  // --- heads: this lane's outputs ---

  DEVICE void start_head(int t, const float* bias, float (&outputs)[kOutputs]) const {
    if (t == 1) {
      outputs[kPolicy] = bias[0];
    } else {
      UNROLL
      for (int o = 0; o < kOutputs; ++o) outputs[o] = bias[o];
    }
  }

  DEVICE void add_head(int t, const float* w, const float* tile, int columns, float (&outputs)[kOutputs]) const {
    const float* x = tile + lane();
    if (t == 1) {
      for (int k = 0; k < columns; ++k) outputs[kPolicy] = fused(x[k * kPitch], w[k * kHeadStride], outputs[kPolicy]);
      return;
    }
    for (int k = 0; k < columns; ++k, w += kHeadStride) {
      UNROLL
      for (int o = 0; o < kOutputs; ++o) outputs[o] = fused(x[k * kPitch], w[o], outputs[o]);
    }
  }
};

#endif

}  // namespace stampede
