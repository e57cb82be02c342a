// SPDX-License-Identifier: Apache-2.0
// REINFORCE: Williams 1992, Machine Learning 8, with reward-to-go and an optional baseline, on the complete episodes of
// a rollout.
#pragma once

#include <memory>

#include "agents/policy_gradient.h"

namespace stampede {

enum class Baseline { kNone, kMean, kLearned };

struct ReinforceConfig {
  ActorCriticConfig actor_critic;
  float gamma = 0.99f;
  Baseline baseline = Baseline::kLearned;
  float value_weight = 0.5f;      // of the learned baseline's loss
  bool normalize_returns = true;  // of the update's returns (minus the baseline): mean 0, deviation 1
};

// What changes from iteration to iteration, evaluated by the caller from rows.
struct ReinforceSchedule {
  float learning_rate;
  float entropy_weight;
};

class Reinforce {
 public:
  // shape: T = rows between updates, long enough for episodes to end; extra_size = RolloutExtra::size(...). workers:
  // threads that act at the same time. act_rows: most rows of one act() call.
  Reinforce(const ReinforceConfig& config, const Space& action, std::shared_ptr<const Network> network,
            const RingShape& shape, int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  // Returns of the episodes that ended in the ring's T rows, one gradient step, the normalisers' statistics.
  // Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, const ReinforceSchedule& schedule);

  ActorCritic& actor_critic() { return agent_; }

 private:
  ReinforceConfig config_;
  PolicyGradient gradient_;
  ActorCritic agent_;
};

}  // namespace stampede
