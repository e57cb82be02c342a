// SPDX-License-Identifier: Apache-2.0
#include "agents/soft_returns.h"

#include "kernels/launch.h"

namespace stampede {
namespace {

struct AddEntropiesOp {
  RingView ring;
  int n_step;
  float gamma;
  EntropyWeight alpha;
  Transitions transitions;

  HD void operator()(int r) const {
    int slot = transitions.indices[r] / ring.shape.environments;
    const int environment = transitions.indices[r] - slot * ring.shape.environments;
    const auto extra_size = static_cast<std::size_t>(ring.shape.extra_size);
    float factor = alpha.value(), reward = transitions.rewards[r];
    for (int k = 1; k < n_step; ++k) {
      if (ring.flags(ring.index(slot, environment)) & kEpisodeEnd) break;
      slot = slot + 1 == ring.slots() ? 0 : slot + 1;
      factor *= gamma;
      reward = fused(factor, ring.extra[ring.index(slot, environment) * extra_size], reward);
    }
    transitions.rewards[r] = reward;
  }
};

}  // namespace

void add_entropies(const Stream& stream, const RingView& ring, int n_step, float gamma, const EntropyWeight& alpha,
                   int rows, const Transitions& transitions) {
  for_each_index(stream, rows, AddEntropiesOp{ring, n_step, gamma, alpha, transitions});
}

}  // namespace stampede
