// SPDX-License-Identifier: Apache-2.0
// Draws the actions that SAC's updates are made with, one row of a batch each. Apart from agents/sac_steps.cu so that
// tests/house/vectorized_loops.sh can compile it alone.
#pragma once

#include "agents/sac_steps.h"

namespace stampede {

HD float normal_of(Rng& rng) {
  const std::uint32_t first = rng.next_word();
  return standard_normal(first, rng.next_word());
}

// Size: the dimensions of an action when the compiler should know them, so that the loop over rows vectorises; 0 = any.
template <int Size>
struct SamplePolicyOp {
  PolicySampling s;

  HD void operator()(int r) const {
    const int size = Size > 0 ? Size : s.policy.size;
    const float *const means = s.policy.mean(r), *const log_sigma = s.policy.log_sigmas.row(r);
    Rng rng(s.key, static_cast<std::uint32_t>(s.begin + r));
    float* const action =
        s.out.features + static_cast<std::size_t>(r) * static_cast<std::size_t>(s.out.stride) + s.obs_size;
    float log_prob = 0.0f;
    for (int j = 0; j < size; ++j) {
      const float noise = normal_of(rng);
      const SquashedSample sample = sample_squashed(means[j], log_sigma[j], noise);
      action[j] = sample.action;
      log_prob += sample.log_prob;
      if (s.noise != nullptr) s.noise[r * size + j] = noise;
    }
    s.log_probs[r] = log_prob;
  }
};

}  // namespace stampede
