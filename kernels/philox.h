// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10, a counter-based random generator: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011.
#pragma once

#include <cstdint>

#include "kernels/hd.h"

namespace stampede {

struct PhiloxBlock {
  std::uint32_t word[4];

  // word[i & 3] by choices: an index would move the block from a kernel's registers to memory.
  HD std::uint32_t at(std::uint32_t i) const {
    const std::uint32_t low = i & 1 ? word[1] : word[0];
    const std::uint32_t high = i & 1 ? word[3] : word[2];
    return i & 2 ? high : low;
  }
};

HD PhiloxBlock philox4x32(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3, std::uint32_t k0,
                          std::uint32_t k1) {
#ifdef __CUDA_ARCH__
  for (int round = 0; round < 10; ++round) {
    const std::uint32_t low0 = 0xD2511F53u * c0;
    const std::uint32_t low1 = 0xCD9E8D57u * c2;
    const std::uint32_t high0 = __umulhi(0xD2511F53u, c0);
    const std::uint32_t high1 = __umulhi(0xCD9E8D57u, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
#else
  // 64-bit words throughout: gcc then needs no conversion around the products and vectorises twice as fast.
  std::uint64_t w0 = c0, w1 = c1, w2 = c2, w3 = c3;
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * static_cast<std::uint32_t>(w0);
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * static_cast<std::uint32_t>(w2);
    w0 = (product1 >> 32) ^ w1 ^ k0;
    w1 = product1 & 0xFFFFFFFFu;
    w2 = (product0 >> 32) ^ w3 ^ k1;
    w3 = product0 & 0xFFFFFFFFu;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{static_cast<std::uint32_t>(w0), static_cast<std::uint32_t>(w1), static_cast<std::uint32_t>(w2),
           static_cast<std::uint32_t>(w3)}};
#endif
}

// What a random number is for: streams of different purposes never share a counter.
enum class Purpose : std::uint32_t {
  kEnvironmentReset = 1,
  kEnvironmentStep = 2,
  kAction = 3,
  kExploration = 4,
  kReplaySample = 5,
  kPermutation = 6,
  kInitialization = 7,
  kPlanning = 40,
  kParameterNoise = 32,
  kParameterDropout = 33,
  kTargetAction = 20,
  kPolicyAction = 21,
  kExplorationNoise = 22,
  kStateNoise = 29,
  kWorkerSeed = 30,
  kFinalEpsilon = 31,
};

// Names one draw: key = seed; counter = (index, row low, row high 24 bits | purpose 8 bits, draw). So a value depends
// on what it is for, never on batch size, thread or device.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t row = 0;  // never restarts at episodes; below 2^56
  Purpose purpose = Purpose::kEnvironmentReset;

  HD PhiloxBlock block(std::uint32_t index, std::uint32_t draw) const {
    const std::uint32_t high =
        (static_cast<std::uint32_t>(row >> 32) & 0xFFFFFFu) | (static_cast<std::uint32_t>(purpose) << 24);
    return philox4x32(index, static_cast<std::uint32_t>(row), high, draw, static_cast<std::uint32_t>(seed),
                      static_cast<std::uint32_t>(seed >> 32));
  }
  // One word per lane: four neighbouring lanes share a call.
  HD std::uint32_t lane_word(std::uint32_t index, std::uint32_t draw = 0) const {
    return block(index >> 2, draw).at(index);
  }
};

// Uniform in [0, 1) on a grid of 2^-24: exact in float on every device.
HD float uniform_float(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word >> 8)) * 0x1p-24f;
}

// Uniform in (0, 1]: safe for a logarithm.
HD float uniform_float_open(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word >> 8) + 1) * 0x1p-24f;
}

// Uniform in [0, n) for n up to 2^16 and beyond with bias below n / 2^32.
HD std::uint32_t uniform_below(std::uint32_t word, std::uint32_t n) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(word) * n) >> 32);
}

// The sequence of words one lane draws for one purpose at one row; a new Philox block every four words.
class Rng {
 public:
  HD Rng(const RandomKey& key, std::uint32_t index) : key_(key), index_(index) {}

  HD std::uint32_t next_word() {
    const std::uint32_t slot = drawn_ & 3;
    if (slot == 0) block_ = key_.block(index_, drawn_ >> 2);
    ++drawn_;
    return block_.at(slot);
  }
  HD float uniform() { return uniform_float(next_word()); }
  HD float uniform(float low, float high) { return low + (high - low) * uniform(); }
  HD std::uint32_t below(std::uint32_t n) { return uniform_below(next_word(), n); }

 private:
  RandomKey key_;
  std::uint32_t index_;
  std::uint32_t drawn_ = 0;
  PhiloxBlock block_{};
};

}  // namespace stampede
