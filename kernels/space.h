// SPDX-License-Identifier: Apache-2.0
// The POD description of an observation or action space that environments and agents share.
#pragma once

namespace stampede {

enum class SpaceKind { kDiscrete, kBox };

inline constexpr int kMaxSpaceSize = 8;

// Discrete: values 0 ... count-1 in one int32. Box: `size` floats, each within [low, high] (infinite where unbounded).
struct Space {
  SpaceKind kind = SpaceKind::kDiscrete;
  int count = 0;
  int size = 1;
  float low[kMaxSpaceSize] = {};
  float high[kMaxSpaceSize] = {};

  constexpr bool is_discrete() const { return kind == SpaceKind::kDiscrete; }

  static constexpr Space discrete(int count) {
    Space space;
    space.count = count;
    return space;
  }
  template <int N>
  static constexpr Space box(const float (&low)[N], const float (&high)[N]) {
    static_assert(N <= kMaxSpaceSize);
    Space space;
    space.kind = SpaceKind::kBox;
    space.size = N;
    for (int i = 0; i < N; ++i) {
      space.low[i] = low[i];
      space.high[i] = high[i];
    }
    return space;
  }
};

}  // namespace stampede
