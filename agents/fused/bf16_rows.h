// SPDX-License-Identifier: Apache-2.0
// How a network meets tensor cores, the same for acting and learning: both get the same bits from the same weights.
#pragma once

#include <limits>

#include "agents/fused/tower.h"
#include "kernels/gemm_blocks.h"
#include "kernels/mma.h"

namespace stampede {

// Observations keep 16 bits of precision. A row of the first layer's inputs is two halves of eight: rounded values, and
// what rounding has lost, with the same weights. The last input of the first half is 1, and its weight is the bias.
inline constexpr int kBf16Inputs = kNarrowColumns - 1;  // most observation columns
inline constexpr int kInputTile = 2 * kNarrowColumns;   // bf16 of a row

// Which observation an input of the first layer belongs to: kBf16Inputs is the bias, -1 nothing.
HD int observation_of_input(int k) { return k == kInputTile - 1 ? -1 : k % kNarrowColumns; }

#ifdef STAMPEDE_BLOCK_KERNELS
// Sixteen columns of sixteen rows as mma_m16n8k16 takes them.
using Fragment = std::uint32_t[4];

DEVICE float low_value(std::uint32_t word) { return bits_float(word << 16); }
DEVICE float high_value(std::uint32_t word) { return bits_float(word & 0xFFFF0000u); }

// Two neighbours: rounded, and what rounding has lost.
DEVICE void split_pair(float low, float high, std::uint32_t& rounded, std::uint32_t& rest) {
  rounded = pack_bf16(low, high);
  rest = pack_bf16(low - low_value(rounded), high - high_value(rounded));
}

// A row of inputs from its observations, 0 behind the last one.
DEVICE void split_row(float (&observations)[kNarrowColumns], std::uint32_t (&words)[kNarrowColumns]) {
  constexpr int kHalf = kNarrowColumns / 2;
  observations[kBf16Inputs] = 1.0f;
  UNROLL
  for (int w = 0; w < kHalf; ++w) split_pair(observations[2 * w], observations[2 * w + 1], words[w], words[kHalf + w]);
}

// ReLU and the identity, told apart by a number.
DEVICE float lowest_output(GemmActivation activation) {
  return activation == GemmActivation::kRelu ? 0.0f : -std::numeric_limits<float>::infinity();
}

// What the next layer reads, from the sums of two tiles of eight columns.
DEVICE void activate_sums(const float (&sums)[2][4], GemmActivation activation, Fragment& fragment) {
  const auto pack = [&](const auto& activated) {
    UNROLL
    for (int w = 0; w < 4; ++w) {
      const float(&half)[4] = sums[w / 2];
      fragment[w] = pack_bf16(activated(half[w % 2 * 2]), activated(half[w % 2 * 2 + 1]));
    }
  };
  if (activation == GemmActivation::kTanh) return pack([](float x) { return fast_tanh(x); });
  pack([floor = lowest_output(activation)](float x) { return x < floor ? floor : x; });
}
#endif

}  // namespace stampede
