// SPDX-License-Identifier: Apache-2.0
// Soft returns of several steps: the return that maximum entropy methods maximise (Haarnoja et al. 2017,
// arXiv:1702.08165, equation 1; 2018b, arXiv:1812.05905, equation 1), unrolled n times from an action that is given:
//
//   sum_{k < n} gamma^k r_k + sum_{0 < k < n} gamma^k alpha H_k + gamma^n V(s_n)
//
// H_k is the entropy of the policy that acted in s_k, or -log pi(a_k | s_k), its estimate from the action. It is left
// in the ring by the row that acted and is not corrected when the policy moves on, as the rewards of n-step returns
// from a replay memory are not (Hessel et al. 2018, arXiv:1710.02298); alpha is that of the time of sampling.
#pragma once

#include "replay/transitions.h"

namespace stampede {

// alpha: a number that the host knows, or where it is learned in device memory.
struct EntropyWeight {
  float fixed = 0.0f;
  const float* learned = nullptr;  // [1]

  HD float value() const { return learned != nullptr ? *learned : fixed; }
};

// Adds the ring's entropies, the first of its extra floats, to the rewards of n-step transitions. Stream-ordered.
void add_entropies(const Stream& stream, const RingView& ring, int n_step, float gamma, const EntropyWeight& alpha,
                   int rows, const Transitions& transitions);

}  // namespace stampede
