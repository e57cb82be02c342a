// SPDX-License-Identifier: Apache-2.0
// A pseudo-random permutation of [0, n) that is evaluated index by index: no memory, no sort, the same on every device.
#pragma once

#include <cstdint>

#include "kernels/philox.h"

namespace stampede {

// An alternating Feistel network on ceil(log2 n) bits whose halves mix each other in turn, with cycle walking for
// values beyond n (Black & Rogaway 2002); the round keys come from Philox.
class Permutation {
 public:
  static constexpr int kRounds = 6;

  HD Permutation(const RandomKey& key, std::uint32_t n) : n_(n) {
    int bits = 2;
    while (bits < 32 && (std::uint64_t{1} << bits) < n) ++bits;
    low_bits_ = bits / 2;
    low_mask_ = (1u << low_bits_) - 1;
    high_mask_ = static_cast<std::uint32_t>((std::uint64_t{1} << (bits - low_bits_)) - 1);
    const PhiloxBlock a = key.block(0, 0), b = key.block(0, 1);
    for (int r = 0; r < 4; ++r) round_key_[r] = a.word[r];
    round_key_[4] = b.word[0];
    round_key_[5] = b.word[1];
  }

  HD std::uint32_t operator()(std::uint32_t i) const { return walk(once(i)); }

  // One pass through the network; below 2^bits, not yet below n.
  HD std::uint32_t once(std::uint32_t i) const {
    std::uint32_t low = i & low_mask_, high = i >> low_bits_;
    for (int r = 0; r < kRounds; r += 2) {
      high ^= mix(low ^ round_key_[r]) & high_mask_;
      low ^= mix(high ^ round_key_[r + 1]) & low_mask_;
    }
    return (high << low_bits_) | low;
  }
  // Follows the cycle until the value is below n.
  HD std::uint32_t walk(std::uint32_t value) const {
    while (value >= n_) value = once(value);
    return value;
  }

 private:
  HD static std::uint32_t mix(std::uint32_t x) {
    x *= 0x9E3779B1u;
    x ^= x >> 15;
    x *= 0x85EBCA77u;
    return x ^ (x >> 13);
  }

  std::uint32_t n_;
  int low_bits_;
  std::uint32_t low_mask_, high_mask_;
  std::uint32_t round_key_[kRounds];
};

}  // namespace stampede
