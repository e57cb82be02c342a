// SPDX-License-Identifier: Apache-2.0
// Epsilon-greedy choices, with one epsilon for all environments or one for each.
#pragma once

#include <span>

#include "agents/distributions.h"
#include "kernels/arena.h"
#include "kernels/stream.h"

namespace stampede {

// The share of random actions at one row. Environments with final values of their own go from the same start to them:
// `progress` is the part of the way.
struct Epsilon {
  float shared = 0.0f;
  const float* final_values = nullptr;  // [N] in device memory, null = shared
  float start = 0.0f, progress = 0.0f;

  HD float of(int environment) const {
    if (final_values == nullptr) return shared;
    return fused(progress, final_values[environment] - start, start);
  }
};

// `greedy` with probability 1 - epsilon, else uniform over all actions: each has at least epsilon / A.
HD int epsilon_greedy(int greedy, int actions, float epsilon, const RandomKey& key, int index) {
  if (!(epsilon > 0.0f)) return greedy;
  Rng rng(key, static_cast<std::uint32_t>(index));
  const bool explore = rng.uniform() < epsilon;
  const int random = static_cast<int>(rng.below(static_cast<std::uint32_t>(actions)));
  return explore ? random : greedy;
}

// A final epsilon for every environment, drawn independently: values[k] with probability shares[k] / sum(shares), as
// the actor-learners of Mnih et al. 2016, section 5.1 ({0.1, 0.01, 0.5} with 0.4, 0.3, 0.3).
class FinalEpsilons {
 public:
  // Throws UsageError when shares are not as many as values, or sum up to 0. No shares: equal ones.
  static void check(std::span<const double> values, std::span<const double> shares);

  // Empty values: none, and data() is null.
  FinalEpsilons(std::vector<double> values, std::vector<double> shares, int environments, Arena& arena);

  void initialize(const Stream& stream, std::uint64_t seed);
  const float* data() const { return chosen_.data; }  // [N]
  View<float> block() const { return chosen_; }

 private:
  std::vector<double> values_, shares_;
  View<float> chosen_;  // [N]
};

}  // namespace stampede
