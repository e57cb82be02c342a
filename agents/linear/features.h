// SPDX-License-Identifier: Apache-2.0
// Linear features of an observation: one-hot states (a table), tile coding, and the Fourier basis.
#pragma once

#include <variant>

#include "kernels/math.h"
#include "kernels/space.h"

namespace stampede {

// One feature that is not zero: Q(s, a) = sum over features of value * weight[index, a].
struct Feature {
  std::int32_t index;
  float value;
};

// Maps a Box observation to [0, 1] in every dimension; values outside [low, high] become 0 or 1.
struct UnitScale {
  int size = 1;  // D
  float low[kMaxSpaceSize] = {};
  float inverse_range[kMaxSpaceSize] = {};  // 1 / (high - low)

  HD float at(const std::uint32_t* obs, int d) const {
    return clamp((bits_float(obs[d]) - low[d]) * inverse_range[d], 0.0f, 1.0f);
  }
};

// A feature per state of a Discrete observation: a table.
struct OneHot {
  int states = 1;

  HD int size() const { return states; }
  HD int active() const { return 1; }
  HD Feature at(const std::uint32_t* obs, int) const { return {static_cast<std::int32_t>(obs[0]), 1.0f}; }
  // Step size of a weight, as a factor of the learning rate.
  HD float rate(int) const { return 1.0f; }
};

// Grid tilings, each displaced against the others: Sutton & Barto 2018, section 9.5.4, with the displacement vector of
// the first odd numbers (1, 3, 5, ...). The learning rate is shared among the active features.
struct TileCoding {
  UnitScale scale;
  int tilings = 8;  // a power of two
  int tiles = 8;    // across the range of each dimension; one more is needed for the displaced part
  bool bias = false;
  float inverse_tilings = 0.125f;
  float inverse_active = 0.125f;

  HD int tiles_per_tiling() const {
    int count = 1;
    for (int d = 0; d < scale.size; ++d) count *= tiles + 1;
    return count;
  }
  HD int size() const { return tilings * tiles_per_tiling() + bias; }
  HD int active() const { return tilings + bias; }
  HD Feature at(const std::uint32_t* obs, int k) const {
    if (k == tilings) return {size() - 1, 1.0f};
    std::int32_t cell = k;
    for (int d = 0; d < scale.size; ++d) {
      const int displaced = k * (2 * d + 1) & (tilings - 1);
      const float place =
          fused(scale.at(obs, d), static_cast<float>(tiles), static_cast<float>(displaced) * inverse_tilings);
      cell = cell * (tiles + 1) + static_cast<std::int32_t>(place);
    }
    return {cell, 1.0f};
  }
  HD float rate(int) const { return inverse_active; }
};

// cos(pi c . x) for every coefficient vector c in {0 ... order}^D, step sizes divided by |c|: Konidaris et al. 2011,
// equations 3 and 6. Feature 0 is the constant.
struct FourierBasis {
  UnitScale scale;
  int order = 3;

  HD int size() const {
    int count = 1;
    for (int d = 0; d < scale.size; ++d) count *= order + 1;
    return count;
  }
  HD int active() const { return size(); }
  HD Feature at(const std::uint32_t* obs, int k) const {
    float angle = 0.0f;
    int rest = k;
    for (int d = 0; d < scale.size; ++d) {
      angle = fused(static_cast<float>(rest % (order + 1)), scale.at(obs, d), angle);
      rest /= order + 1;
    }
    return {k, sin_cos(kPi * angle).cos};
  }
  HD float rate(int k) const {
    float squares = 0.0f;
    int rest = k;
    for (int d = 0; d < scale.size; ++d) {
      const auto c = static_cast<float>(rest % (order + 1));
      squares = fused(c, c, squares);
      rest /= order + 1;
    }
    return squares == 0.0f ? 1.0f : 1.0f / square_root(squares);
  }
};

using LinearFeatures = std::variant<OneHot, TileCoding, FourierBasis>;

// Cells in which visits are counted: the states, or a hash of a grid over a Box (Tang et al. 2017, section 2).
struct CountCells {
  UnitScale scale;
  int cells = 0;  // a power of two for a Box
  int bins = 0;   // per dimension; 0 = the observation is a state

  HD std::int32_t at(const std::uint32_t* obs) const {
    if (bins == 0) return static_cast<std::int32_t>(obs[0]);
    std::uint32_t hash = 0;
    for (int d = 0; d < scale.size; ++d) {
      const auto bin = static_cast<std::uint32_t>(scale.at(obs, d) * static_cast<float>(bins));
      hash = (hash ^ bin) * 0x9E3779B1u;
      hash ^= hash >> 15;
    }
    return static_cast<std::int32_t>(hash & static_cast<std::uint32_t>(cells - 1));
  }
};

}  // namespace stampede
