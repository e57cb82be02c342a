// SPDX-License-Identifier: Apache-2.0
// The network of a fused rollout on tensor cores: bf16 weights and activations, fp32 sums.
//
// A warp's 32 environments are two tiles of 16 rows, so every fragment of weights that is read from shared memory
// serves two products. Layers are chained in registers: the sums of two neighbouring tiles of 8 columns are, rounded,
// the fragment of 16 inputs that the next layer reads. Inputs, activations and the order of products are those of the
// fused update (agents/fused/bf16_tower_blocks.h), whose first log-probabilities and values are these, bit for bit.
#pragma once

#include "agents/fused/bf16_rows.h"
#include "agents/normalizer.h"
#include "train/fused/fused_network.h"
#include "train/fused/rollout_shape.h"
#include "train/fused/warp_tools.h"

namespace stampede {

template <class E>
struct Bf16Policy {
  using Shape = RolloutShape<E>;
  using Obs = typename Shape::Obs;
  using Outputs = typename Shape::Outputs;
  static constexpr int kPolicy = Shape::kPolicy, kOutputs = Shape::kOutputs, kObs = Shape::kObsWords;
  static constexpr int kTile = 16;  // inputs of a product
  static constexpr int kMostTiles = FusedNetwork::kWidest / kTile;
  static constexpr int kPitch = 12;  // words of a row in a warp's scratch
  static constexpr bool kBootstraps = false;
  // One tile of outputs, and of inputs.
  static constexpr bool kFits = kOutputs <= 8 && (Shape::kOneHot || kObs <= kBf16Inputs);

  FusedNetwork network;

  // Tiles of hidden units; products come in pairs of tiles of inputs and two pairs at a time.
  HD static int tiles(int width) { return (width + 63) / 64 * 4; }
  // Words of one tower in shared memory: fragments of the first layer [tiles1, 32, 4], of the second
  // [2 tiles2, tiles1 / 2, 32, 4], of the head [tiles2, 32, 2], biases of second layer and head.
  HD int first_size() const { return tiles(network.hidden1) * 128; }
  HD int second_size() const { return tiles(network.hidden1) * tiles(network.hidden2) * 128; }
  HD int head_size() const { return tiles(network.hidden2) * 64; }
  HD int tower_size() const { return first_size() + second_size() + head_size() + kTile * tiles(network.hidden2) + 8; }
  HD int weight_size() const { return network.towers * tower_size(); }
  HD int warp_size() const { return 32 * kPitch; }

#ifdef STAMPEDE_BLOCK_KERNELS
  DEVICE void stage(float* shared) const {
    auto* words = reinterpret_cast<std::uint32_t*>(shared);
    for (int t = 0; t < network.towers; ++t, words += tower_size()) {
      const RolloutTower& tower = network.tower[t];
      std::uint32_t* const head = words + first_size() + second_size();
      float* const bias = reinterpret_cast<float*>(head + head_size());
      const int tiles1 = tiles(network.hidden1), columns2 = kTile * tiles(network.hidden2);
      for_each_thread(first_size(), [&](int e) {  // [tile, lane, 2 column tiles x 2 words]
        const int lane = e / 4 % 32, column = e / 128 * kTile + e / 2 % 2 * 8 + lane / 4;
        words[e] = first_pair(tower, lane % 4 * 2 + e % 2 * 8, column);
      });
      for_each_thread(second_size(), [&](int e) {  // [column tile, pair of input tiles, lane, 2 input tiles x 2 words]
        const int lane = e / 4 % 32, pair = e / 128 % (tiles1 / 2), column = e / 128 / (tiles1 / 2) * 8 + lane / 4;
        const int k = (2 * pair + e / 2 % 2) * kTile + lane % 4 * 2 + e % 2 * 8;
        words[first_size() + e] = pair_of(tower, 1, k, column);
      });
      for_each_thread(head_size(), [&](int e) {  // [input tile, lane, 2 words]
        const int lane = e / 2 % 32;
        head[e] = pair_of(tower, 2, e / 64 * kTile + lane % 4 * 2 + e % 2 * 8, lane / 4);
      });
      for_each_thread(columns2, [&](int e) { bias[e] = weight(tower, tower.bias[1], e, network.hidden2); });
      for_each_thread(8, [&](int e) { bias[columns2 + e] = weight(tower, tower.bias[2], e, tower.stride[2]); });
    }
  }

  template <class Work>
  static DEVICE void for_each_thread(int count, const Work& work) {
    for (int e = static_cast<int>(threadIdx.x); e < count; e += static_cast<int>(blockDim.x)) work(e);
  }
  static DEVICE float weight(const RolloutTower& tower, std::size_t row, int column, int width) {
    return column < width ? tower.parameters[row + static_cast<std::size_t>(column)] : 0.0f;
  }
  // Weights of inputs k and k + 1 to one output; those beyond the layer are 0.
  DEVICE std::uint32_t pair_of(const RolloutTower& tower, int layer, int k, int column) const {
    const int in = layer == 1 ? network.hidden1 : network.hidden2;
    const int width = layer == 1 ? network.hidden2 : tower.stride[2];
    const std::size_t row = tower.weight[layer] + static_cast<std::size_t>(k * tower.stride[layer]);
    if (k >= in) return 0;  // widths are even
    return pack_bf16(weight(tower, row, column, width),
                     weight(tower, row + static_cast<std::size_t>(tower.stride[layer]), column, width));
  }
  // The same for the first layer's inputs.
  DEVICE std::uint32_t first_pair(const RolloutTower& tower, int k, int column) const {
    return pack_bf16(first_weight(tower, k, column), first_weight(tower, k + 1, column));
  }
  DEVICE float first_weight(const RolloutTower& tower, int k, int column) const {
    const int observation = observation_of_input(k);
    const bool bias = observation == kBf16Inputs;
    if (Shape::kOneHot || observation < 0 || (observation >= kObs && !bias)) return 0.0f;
    const std::size_t row =
        bias ? tower.bias[0] : tower.weight[0] + static_cast<std::size_t>(observation * tower.stride[0]);
    return weight(tower, row, column, network.hidden1);
  }

  // Outputs of towers [first, last) for this lane's environment: the first one's head, and where a second one follows
  // that one's value behind it.
  DEVICE void evaluate(const float* weights, float* scratch, const Obs& obs, int first, int last,
                       Outputs& outputs) const {
    const auto* words = reinterpret_cast<const std::uint32_t*>(weights) + first * tower_size();
    auto* rows = reinterpret_cast<std::uint32_t*>(scratch);
    Fragment input[2] = {};
    if constexpr (!Shape::kOneHot) load_inputs(obs, rows, input);
    for (int t = first; t < last; ++t, words += tower_size()) {
      Fragment hidden[2][kMostTiles];
      first_layer(network.tower[t], words, obs, input, hidden);
      float head[2][4];
      remaining_layers(words + first_size(), hidden, head);
      exchange_outputs(t > first, head, scratch, outputs);
    }
  }

  // Row r of the warp's scratch: environment r's inputs. Returns this lane's part of both tiles.
  DEVICE void load_inputs(const Obs& obs, std::uint32_t* rows, Fragment (&input)[2]) const {
    float x[kNarrowColumns] = {};
    UNROLL
    for (int k = 0; k < kObs; ++k) {
      x[k] = bits_float(obs[k]);
      if (network.mean != nullptr) x[k] = normalized_observation(x[k], network.mean[k], network.inverse[k]);
    }
    std::uint32_t words[kNarrowColumns];
    split_row(x, words);
    std::uint32_t* const row = rows + lane_index() * kPitch;
    UNROLL
    for (int w = 0; w < kNarrowColumns; ++w) row[w] = words[w];
    __syncwarp();
    const std::uint32_t* const mine = rows + lane_index() / 4 * kPitch + lane_index() % 4;
    UNROLL
    for (int m = 0; m < 2; ++m) {
      UNROLL
      for (int w = 0; w < 4; ++w) input[m][w] = mine[(16 * m + 8 * (w % 2)) * kPitch + 4 * (w / 2)];
    }
    __syncwarp();
  }

  DEVICE void first_layer(const RolloutTower& tower, const std::uint32_t* words, const Obs& obs,
                          const Fragment (&input)[2], Fragment (&hidden)[2][kMostTiles]) const {
    UNROLL
    for (int tile = 0; tile < kMostTiles; ++tile) {
      if (tile / 4 * 64 >= network.hidden1) break;
      float sums[2][2][4] = {};  // [rows 16 m, columns 8 n]
      if constexpr (Shape::kOneHot) {
        look_up(tower, obs, tile, sums);
      } else {
        const Pack<4> b = load_pack(reinterpret_cast<const float*>(words) + tile * 128 + lane_index() * 4);
        UNROLL
        for (int n = 0; n < 2; ++n) {
          UNROLL
          for (int m = 0; m < 2; ++m) {
            mma_m16n8k16(sums[m][n], input[m], float_bits(b.value[2 * n]), float_bits(b.value[2 * n + 1]));
          }
        }
      }
      UNROLL
      for (int m = 0; m < 2; ++m) activate_sums(sums[m], network.activation, hidden[m][tile]);
    }
  }

  // One-hot inputs: rows of the first layer's weights, from global memory.
  DEVICE void look_up(const RolloutTower& tower, const Obs& obs, int tile, float (&sums)[2][2][4]) const {
    UNROLL
    for (int r = 0; r < 4; ++r) {
      const std::uint32_t row = __shfl_sync(0xffffffffu, obs[0], lane_index() / 4 + 8 * r);
      UNROLL
      for (int n = 0; n < 2; ++n) {
        const int column = tile * kTile + 8 * n + lane_index() % 4 * 2;
        if (column >= network.hidden1) continue;
        const float* const bias = tower.parameters + tower.bias[0] + column;
        const float* const w = tower.parameters + tower.weight[0] + row * static_cast<std::size_t>(tower.stride[0]) +
                               static_cast<std::size_t>(column);
        UNROLL
        for (int c = 0; c < 2; ++c) sums[r / 2][n][r % 2 * 2 + c] = bias[c] + w[c];
      }
    }
  }

  // Second layer and head: sixteen hidden units at a time become one tile of the head's inputs.
  DEVICE void remaining_layers(const std::uint32_t* words, const Fragment (&hidden)[2][kMostTiles],
                               float (&head)[2][4]) const {
    const int pairs = tiles(network.hidden1) / 2, tiles2 = tiles(network.hidden2);
    const auto* fragments = reinterpret_cast<const float*>(words) + lane_index() * 4;
    const auto* const head_words = words + second_size() + lane_index() * 2;
    const float* const bias =
        reinterpret_cast<const float*>(words + second_size() + head_size()) + lane_index() % 4 * 2;
    start(bias + tiles2 * kTile, head);
    for (int tile = 0; tile < tiles2; ++tile) {
      float sums[2][2][4];  // [column tile, row tile]
      UNROLL
      for (int n = 0; n < 2; ++n, fragments += pairs * 128) {
        start(bias + tile * kTile + 8 * n, sums[n]);
        UNROLL
        for (int pair = 0; pair < kMostTiles / 2; ++pair) {
          if (pair / 2 * 64 >= network.hidden1) break;
          multiply_pair(load_pack(fragments + pair * 128), hidden, pair, sums[n]);
        }
      }
      const std::uint32_t b0 = head_words[tile * 64], b1 = head_words[tile * 64 + 1];
      UNROLL
      for (int m = 0; m < 2; ++m) {
        float columns[2][4];
        UNROLL
        for (int c = 0; c < 4; ++c) {
          columns[0][c] = sums[0][m][c];
          columns[1][c] = sums[1][m][c];
        }
        Fragment input;
        activate_sums(columns, network.activation, input);
        mma_m16n8k16(head[m], input, b0, b1);
      }
    }
  }

  static DEVICE void multiply_pair(const Pack<4>& b, const Fragment (&hidden)[2][kMostTiles], int pair,
                                   float (&sums)[2][4]) {
    UNROLL
    for (int half = 0; half < 2; ++half) {
      UNROLL
      for (int m = 0; m < 2; ++m) {
        mma_m16n8k16(sums[m], hidden[m][2 * pair + half], float_bits(b.value[2 * half]),
                     float_bits(b.value[2 * half + 1]));
      }
    }
  }
  static DEVICE void start(const float* bias, float (&sums)[2][4]) {
    UNROLL
    for (int m = 0; m < 2; ++m) {
      UNROLL
      for (int c = 0; c < 4; ++c) sums[m][c] = bias[c % 2];
    }
  }

  // Every lane gets the outputs of its own environment.
  DEVICE void exchange_outputs(bool critic, const float (&head)[2][4], float* scratch, Outputs& outputs) const {
    float* const to = scratch + lane_index() / 4 * kPitch + lane_index() % 4 * 2;
    UNROLL
    for (int m = 0; m < 2; ++m) {
      UNROLL
      for (int c = 0; c < 4; ++c) to[(16 * m + c / 2 * 8) * kPitch + c % 2] = head[m][c];
    }
    __syncwarp();
    const float* const row = scratch + lane_index() * kPitch;
    if (critic) {
      outputs[kPolicy] = row[0];
    } else {
      UNROLL
      for (int o = 0; o < kOutputs; ++o) outputs[o] = row[o];
    }
    __syncwarp();
  }
#endif
};

}  // namespace stampede
