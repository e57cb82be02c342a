// SPDX-License-Identifier: Apache-2.0
// Advantage actor-critic with synchronous environments: Mnih et al. 2016, arXiv:1602.01783, algorithm S3 with one
// worker and a batch of environments, its n-step advantages generalised to GAE(lambda).
#pragma once

#include <memory>

#include "agents/policy_gradient.h"

namespace stampede {

struct A2cConfig {
  ActorCriticConfig actor_critic;
  float gamma = 0.99f;
  float lambda = 1.0f;  // 1: n-step advantages of the paper; 0: the one-step temporal difference
  int epochs = 1;       // gradient steps on a rollout; from the second on with V-trace when `vtrace`
  bool vtrace = false;  // advantages estimated anew each epoch, corrected for how far the policy has moved
  float value_weight = 0.5f;
  AdvantageScaling scaling = AdvantageScaling::kNone;
  float temperature = 0.0f;  // of the entropy inside the return: the soft policy gradient
};

// What changes from iteration to iteration, evaluated by the caller from rows.
struct A2cSchedule {
  float learning_rate;
  float entropy_weight;
};

class A2c {
 public:
  // shape: T = rows between updates, extra_size = RolloutExtra::size(...). workers: threads that act at the same time.
  // act_rows: most rows of one act() call.
  A2c(const A2cConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
      int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  // Advantages of the ring's T rows, a gradient step on all of them (or epochs), the normalisers' statistics.
  // Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, const A2cSchedule& schedule);

  ActorCritic& actor_critic() { return agent_; }

 private:
  void estimate_advantages(const Stream& stream, const RingView& ring, int epoch);

  A2cConfig config_;
  PolicyGradient gradient_;
  ActorCritic agent_;
  View<float> ratios_;  // [T * N], with V-trace
};

}  // namespace stampede
