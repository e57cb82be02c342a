// SPDX-License-Identifier: Apache-2.0
// The network of a fused rollout in fp32, with the bits of the stepwise path: every output is one ascending chain of
// fused multiply-adds.
//
// The second layer, nine tenths of the work, is a product of the warp's 32 rows with tiles of 64 columns: a lane has
// 8 rows x 8 columns of it in registers, so that four 128-bit reads of shared memory feed 64 multiply-adds. First layer
// and head have few inputs or outputs and are computed by each lane for its own environment.
#pragma once

#include "agents/normalizer.h"
#include "kernels/layer_norm.h"
#include "kernels/math.h"
#include "train/fused/fused_network.h"
#include "train/fused/rollout_shape.h"
#include "train/fused/warp_tools.h"

namespace stampede {

template <class E>
struct Fp32Policy {
  using Shape = RolloutShape<E>;
  using Obs = typename Shape::Obs;
  using Outputs = typename Shape::Outputs;
  static constexpr int kPolicy = Shape::kPolicy, kOutputs = Shape::kOutputs;
  static constexpr int kHeadStride = (kOutputs + 3) / 4 * 4;  // of a head's weights in shared memory
  // Columns of a product tile, and the pitch of activations [column, environment], which puts the rows of a tile into
  // different banks.
  static constexpr int kTile = 64, kPitch = 36;
  static constexpr bool kBootstraps = true;  // what it says of a row may be stored
  static constexpr int kStretch = 4;         // steps of a sum that are unrolled; widths are multiples of it

  FusedNetwork network;

  HD int columns() const { return (network.hidden2 + kTile - 1) / kTile * kTile; }
  // Rows of the first layer's weights that are staged: those of one-hot inputs stay in global memory.
  HD int inputs() const { return Shape::kOneHot ? 0 : Shape::kObsWords; }
  // Floats of one tower: first [inputs, hidden1] and its bias, second [hidden1, columns] and its bias, head [hidden2,
  // kHeadStride] and its bias; with normalisation, gain and bias of both hidden layers.
  HD int norm_size() const { return network.normalized ? 2 * (network.hidden1 + network.hidden2) : 0; }
  HD int layers_size() const {
    return (inputs() + 1) * network.hidden1 + (network.hidden1 + 1) * columns() + (network.hidden2 + 1) * kHeadStride;
  }
  HD int tower_size() const { return layers_size() + norm_size(); }
  // Floats of a warp's activations: the first layer's, and the second's where they do not replace them: one tile, or
  // all that a normalisation needs at once.
  HD int first_size() const { return (network.hidden1 > kTile ? network.hidden1 : kTile) * kPitch; }
  HD int second_size() const { return (network.normalized ? columns() : kTile) * kPitch; }
  HD int warp_size() const { return first_size() + (columns() > kTile ? second_size() : 0); }
  HD int weight_size() const { return network.towers * tower_size(); }

#ifdef STAMPEDE_BLOCK_KERNELS
  DEVICE void stage(float* shared) const {
    for (int t = 0; t < network.towers; ++t, shared += tower_size()) {
      const RolloutTower& tower = network.tower[t];
      float* to = shared;
      to = copy_rows(to, tower, 0, inputs(), network.hidden1, network.hidden1);
      to = copy_rows(to, tower, 1, network.hidden1, network.hidden2, columns());
      copy_rows(to, tower, 2, network.hidden2, tower.stride[2] < kHeadStride ? tower.stride[2] : kHeadStride,
                kHeadStride);
      copy_norms(shared + layers_size(), tower);
    }
  }

  // A layer's weights and bias side by side, [in + 1, to_stride]. Columns of the second layer are permuted within their
  // tile so that a lane's columns, 8 apart, are read by two 128-bit loads.
  DEVICE float* copy_rows(float* to, const RolloutTower& tower, int layer, int in, int out, int to_stride) const {
    constexpr int kLoads = 8;  // under way at a time: a launch of few rows is as fast as its weights arrive
    const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
    const int count = (in + 1) * to_stride, rows_on = threads / to_stride, places_on = threads % to_stride;
    int row = thread / to_stride, place = thread % to_stride;
    for (int first = thread; first < count; first += kLoads * threads) {
      float values[kLoads];
      UNROLL
      for (int k = 0; k < kLoads; ++k) {
        const int column = layer == 1 ? place / kTile * kTile + tile_column(place % kTile) : place;
        const std::size_t weight = tower.weight[layer] + static_cast<std::size_t>(row * tower.stride[layer]);
        const std::size_t from = row < in ? weight : tower.bias[layer];
        const bool inside = row <= in && column < out;
        values[k] = tower.parameters[inside ? from + static_cast<std::size_t>(column) : tower.bias[layer]];
        values[k] = inside ? values[k] : 0.0f;
        place += places_on;
        row += rows_on + (place >= to_stride ? 1 : 0);
        place -= place >= to_stride ? to_stride : 0;
      }
      UNROLL
      for (int k = 0; k < kLoads; ++k) {
        if (first + k * threads < count) to[first + k * threads] = values[k];
      }
    }
    return to + (in + 1) * to_stride;
  }
  DEVICE void copy_norms(float* to, const RolloutTower& tower) const {
    for (int l = 0; l < 2 && network.normalized; ++l) {
      const int width = l == 0 ? network.hidden1 : network.hidden2;
      for (int e = static_cast<int>(threadIdx.x); e < width; e += static_cast<int>(blockDim.x)) {
        to[e] = tower.parameters[tower.norm_gain[l] + static_cast<std::size_t>(e)];
        to[width + e] = tower.parameters[tower.norm_bias[l] + static_cast<std::size_t>(e)];
      }
      to += 2 * width;
    }
  }
  // The column at a place of a staged tile: lane group g's first four columns g, g + 8, ... lie at 4 g, its last four
  // behind the first half.
  static DEVICE int tile_column(int place) { return place % 32 / 4 + 8 * (place / 32 * 4 + place % 4); }

  // Outputs of towers [first, last) for this lane's environment: the first one's head, and where a second one follows
  // that one's value behind it. First layer, normalisation and head touch the lane's own activations only, so no lane
  // waits between one head and the next first layer.
  DEVICE void evaluate(const float* weights, float* activations, const Obs& obs, int first, int last,
                       Outputs& outputs) const {
    weights += first * tower_size();
    const int width = columns();
    for (int t = first; t < last; ++t, weights += tower_size()) {
      const float* const second = weights + (inputs() + 1) * network.hidden1;
      const float* const head = second + (network.hidden1 + 1) * width;
      first_layer(network.tower[t], weights, obs, activations);
      if (network.normalized) normalize(weights + layers_size(), network.hidden1, activations);
      __syncwarp();
      start_head(t > first, head + network.hidden2 * kHeadStride, outputs);
      for (int column = 0; column < width; column += kTile) {
        float sums[8][8];
        multiply_tile(second + column, activations, sums);
        if (!network.normalized) {
          UNROLL
          for (float(&row)[8] : sums) activate_all(network.activation, row);
        }
        float* tile = activations;
        if (width > kTile) tile += first_size() + (network.normalized ? column * kPitch : 0);
        __syncwarp();  // where the tile replaces the first layer's values, all lanes have read those
        store_tile(sums, tile);
        __syncwarp();
        int begin = column, count = network.hidden2 - column < kTile ? network.hidden2 - column : kTile;
        if (network.normalized) {
          if (column + kTile < width) continue;
          tile -= column * kPitch;
          begin = 0;
          count = network.hidden2;
          normalize(weights + layers_size() + 2 * network.hidden1, count, tile);
        }
        add_head(t > first, head + begin * kHeadStride, tile, count, outputs);
      }
    }
  }

  // kernels/layer_norm.h for this lane's column of values [width, kPitch]: sixteen interleaved sums, joined by a tree.
  // norm: gain [width], bias [width].
  DEVICE void normalize(const float* norm, int width, float* values) const {
    float* const x = values + lane_index();
    const float share = 1.0f / static_cast<float>(width);
    const float mean = sum_of(width, [&](int o, float sum) { return sum + x[o * kPitch]; }) * share;
    const float squares = sum_of(width, [&](int o, float sum) {
      const float d = x[o * kPitch] - mean;
      return fused(d, d, sum);
    });
    const float inverse = 1.0f / square_root(fused(squares, share, kLayerNormEpsilon));
    for (int o = 0; o < width; o += kStretch) {
      float y[kStretch];
      UNROLL
      for (int k = 0; k < kStretch; ++k) {
        y[k] = fused((x[(o + k) * kPitch] - mean) * inverse, norm[o + k], norm[width + o + k]);
      }
      activate_all(network.activation, y);
      UNROLL
      for (int k = 0; k < kStretch; ++k) x[(o + k) * kPitch] = y[k];
    }
  }

  // add(o, sum) for o in [0, width), a multiple of 8.
  template <class Add>
  static DEVICE float sum_of(int width, const Add& add) {
    constexpr int kHalf = 8;
    float sums[2 * kHalf] = {};
    for (int first = 0; first < width; first += 2 * kHalf) {
      UNROLL
      for (int k = 0; k < kHalf; ++k) sums[k] = add(first + k, sums[k]);
      if (first + kHalf == width) break;
      UNROLL
      for (int k = kHalf; k < 2 * kHalf; ++k) sums[k] = add(first + k, sums[k]);
    }
    UNROLL
    for (int k = 0; k < 8; ++k) sums[k] += sums[k + 8];
    UNROLL
    for (int k = 0; k < 4; ++k) sums[k] += sums[k + 4];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }

  // This lane's column of activations [hidden1, kPitch], four at a time.
  DEVICE void first_layer(const RolloutTower& tower, const float* weights, const Obs& obs, float* activations) const {
    const float* const bias = weights + inputs() * network.hidden1;
    float x[Shape::kObsWords];
    if constexpr (!Shape::kOneHot) {
      UNROLL
      for (int k = 0; k < Shape::kObsWords; ++k) {
        x[k] = bits_float(obs[k]);
        if (network.mean != nullptr) x[k] = normalized_observation(x[k], network.mean[k], network.inverse[k]);
      }
    }
    for (int j = 0; j < network.hidden1; j += 4) {
      Pack<4> sum = load_pack(bias + j);
      if constexpr (Shape::kOneHot) {
        const std::size_t row = obs[0] * static_cast<std::size_t>(tower.stride[0]) + static_cast<std::size_t>(j);
        const Pack<4> w = load_pack(tower.parameters + tower.weight[0] + row);
        UNROLL
        for (int c = 0; c < 4; ++c) sum.value[c] += w.value[c];
      } else {
        UNROLL
        for (int k = 0; k < Shape::kObsWords; ++k) {
          const Pack<4> w = load_pack(weights + k * network.hidden1 + j);
          UNROLL
          for (int c = 0; c < 4; ++c) sum.value[c] = fused(x[k], w.value[c], sum.value[c]);
        }
      }
      if (!network.normalized) activate_all(network.activation, sum.value);
      UNROLL
      for (int c = 0; c < 4; ++c) activations[(j + c) * kPitch + lane_index()] = sum.value[c];
    }
  }

  // Rows 8 (lane / 8) + i and columns lane % 8 + 8 j of the tile.
  DEVICE void multiply_tile(const float* w, const float* activations, float (&sums)[8][8]) const {
    const int stride = columns();
    const float* right = w + lane_index() % 8 * 4;
    const float* left = activations + lane_index() / 8 * 8;
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
    for (int first = 0; first < network.hidden1; first += kStretch) {
      UNROLL
      for (int k = 0; k < kStretch; ++k, left += kPitch, right += stride) add_products(left, right, sums);
    }
  }

  static DEVICE void add_products(const float* left, const float* right, float (&sums)[8][8]) {
    const Pack<4> a[2] = {load_pack(left), load_pack(left + 4)}, b[2] = {load_pack(right), load_pack(right + 32)};
    UNROLL
    for (int i = 0; i < 8; ++i) {
      UNROLL
      for (int j = 0; j < 8; ++j) sums[i][j] = fused(a[i / 4].value[i % 4], b[j / 4].value[j % 4], sums[i][j]);
    }
  }

  static DEVICE void store_tile(const float (&sums)[8][8], float* tile) {
    float* const to = tile + lane_index() % 8 * kPitch + lane_index() / 8 * 8;
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

  static DEVICE void start_head(bool critic, const float* bias, Outputs& outputs) {
    if (critic) {
      outputs[kPolicy] = bias[0];
    } else {
      UNROLL
      for (int o = 0; o < kOutputs; ++o) outputs[o] = bias[o];
    }
  }

  // columns: a multiple of kStretch.
  static DEVICE void add_head(bool critic, const float* w, const float* tile, int columns, Outputs& outputs) {
    const float* x = tile + lane_index();
    for (int first = 0; first < columns; first += kStretch) {
      UNROLL
      for (int k = 0; k < kStretch; ++k, x += kPitch, w += kHeadStride) {
        if (critic) {
          outputs[kPolicy] = fused(*x, w[0], outputs[kPolicy]);
          continue;
        }
        UNROLL
        for (int o = 0; o < kOutputs; o += 4) {
          const Pack<4> pack = load_pack(w + o);
          UNROLL
          for (int c = 0; c < 4 && o + c < kOutputs; ++c) outputs[o + c] = fused(*x, pack.value[c], outputs[o + c]);
        }
      }
    }
  }
#endif
};

}  // namespace stampede
