// SPDX-License-Identifier: Apache-2.0
// A pseudo-random permutation of [0, n) that is evaluated index by index: no memory, no sort, the same on every device.
#pragma once

#include <cstdint>

#include "kernels/philox.h"

namespace stampede {

// A balanced Feistel network on the smallest even number of bits that holds n, with cycle walking for indices beyond n
// (Black & Rogaway 2002); rounds are keyed by Philox.
class Permutation {
 public:
  static constexpr int kRounds = 6;

  HD Permutation(const RandomKey& key, std::uint32_t n) : n_(n) {
    while ((std::uint64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
    mask_ = (1u << half_bits_) - 1;
    const PhiloxBlock a = key.block(0, 0), b = key.block(0, 1);
    for (int r = 0; r < 4; ++r) round_key_[r] = a.word[r];
    round_key_[4] = b.word[0];
    round_key_[5] = b.word[1];
  }

  HD std::uint32_t operator()(std::uint32_t i) const {
    do {
      i = once(i);
    } while (i >= n_);
    return i;
  }

 private:
  HD std::uint32_t once(std::uint32_t i) const {
    std::uint32_t left = i >> half_bits_, right = i & mask_;
    for (int r = 0; r < kRounds; ++r) {
      std::uint32_t mixed = (right ^ round_key_[r]) * 0x9E3779B1u;
      mixed ^= mixed >> 15;
      mixed *= 0x85EBCA77u;
      const std::uint32_t next = left ^ ((mixed ^ (mixed >> 13)) & mask_);
      left = right;
      right = next;
    }
    return (left << half_bits_) | right;
  }

  std::uint32_t n_;
  int half_bits_ = 1;
  std::uint32_t mask_;
  std::uint32_t round_key_[kRounds];
};

}  // namespace stampede
