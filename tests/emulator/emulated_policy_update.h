// SPDX-License-Identifier: Apache-2.0
// Fused updates of an agent by the launches of CUDA, under the emulator, with memory of their own.
#pragma once

#include "tests/emulator/fused_launch.h"

#include <algorithm>
#include <optional>

#include "agents/actor_critic.h"

namespace stampede {

class EmulatedPolicyUpdate {
 public:
  // updates: most of one learn().
  EmulatedPolicyUpdate(ActorCritic& agent, Precision precision, int updates) : arena_(Device{}) {
    make(agent, precision, updates);
    arena_.allocate("test");
    make(agent, precision, updates);
  }

  struct Request {
    int epochs = 1, minibatches = 1;
    std::uint64_t first_epoch = 0;  // keys the permutations
    PpoLossConfig loss = {};
    float learning_rate = 0.0f;
  };
  // Epochs on all rows of a ring; after_update() is called behind each update. The sums of metrics start anew.
  template <class AfterUpdate>
  void learn(const RingView& ring, const Request& request, const AfterUpdate& after_update) {
    std::fill(totals_.data, totals_.data + totals_.size(), 0.0);
    int launches = 0;
    const EmulatedLaunch launch{{}, &launches};
    const RolloutRows rows{
        {5, request.first_epoch, Purpose::kPermutation}, true, ring.shape.rows * ring.shape.environments};
    update_->launch_moments(launch, ring, rows, request.epochs, request.minibatches);
    for (int k = 0; k < request.epochs * request.minibatches; ++k) {
      update_->launch_update(launch, ring,
                             {k / request.minibatches, k % request.minibatches, AdvantageScaling::kNormalize,
                              AnyPolicyLoss(request.loss), 0.0f, request.learning_rate});
      after_update(k);
    }
  }

  double total(int metric) const { return totals_[static_cast<std::size_t>(metric)]; }

 private:
  void make(ActorCritic& agent, Precision precision, int updates) {
    totals_ = arena_.take<double>(PolicyRowMetrics::kSize);
    update_.emplace(agent.network(), agent.layout(), agent.observation_normalizer(), totals_, updates, precision,
                    arena_);
  }

  Arena arena_;
  View<double> totals_;
  std::optional<FusedPolicyUpdate> update_;
};

}  // namespace stampede
