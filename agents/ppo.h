// SPDX-License-Identifier: Apache-2.0
// Proximal Policy Optimization with the clipped surrogate: Schulman et al. 2017, arXiv:1707.06347, algorithm 1.
#pragma once

#include <memory>

#include "agents/actor_critic.h"
#include "agents/ppo_steps.h"

namespace stampede {

struct PpoConfig {
  ActorCriticConfig actor_critic;
  float gamma = 0.99f;
  float lambda = 0.95f;
  int epochs = 4;
  int minibatches = 4;
  float clip = 0.2f;
  bool clip_value = false;  // value clipped to the same interval as the ratio
  float entropy_weight = 0.0f;
  float value_weight = 0.5f;
  bool normalize_advantage = true;  // per minibatch
  float target_kl = 0.0f;           // 0 = no early stop
};

// What changes from iteration to iteration, evaluated by the caller from rows.
struct PpoSchedule {
  float learning_rate;
  float clip;
  float entropy_weight;
  std::uint64_t iteration;  // keys the minibatch permutations
};

class Ppo {
 public:
  // Throws UsageError for values out of range or more minibatches than rows.
  static void check(const PpoConfig& config, std::int64_t rollout_rows);

  // ring: T = rollout rows, extra_size = RolloutExtra::size(...). workers: threads that act at the same time.
  // act_rows: most rows of one act() call.
  Ppo(const PpoConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
      int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  // Advantages, then epochs of minibatch updates on the ring's T rows, then the normalisers' statistics.
  // Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, const PpoSchedule& schedule);

  ActorCritic& actor_critic() { return agent_; }
  const ActorCritic& actor_critic() const { return agent_; }

 private:
  void update_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch,
                        const PpoLossConfig& loss, float learning_rate);

  PpoConfig config_;
  std::uint64_t seed_;
  std::int64_t rows_;  // of a rollout
  ActorCritic agent_;
  RolloutBatch batch_;
  View<MomentPart> moment_parts_;
  View<MinibatchMoments> moments_;
};

}  // namespace stampede
