// SPDX-License-Identifier: Apache-2.0
// Proximal Policy Optimization with the clipped surrogate or the adaptive KL penalty: Schulman et al. 2017,
// arXiv:1707.06347, algorithm 1.
#pragma once

#include <memory>

#include "agents/actor_critic.h"
#include "agents/ppo_steps.h"

namespace stampede {

enum class PpoObjective { kClip, kKlPenalty };
enum class AdvantageEstimator { kGae, kVtrace };

struct PpoConfig {
  ActorCriticConfig actor_critic;
  float gamma = 0.99f;
  float lambda = 0.95f;
  int epochs = 4;
  int minibatches = 4;
  PpoObjective objective = PpoObjective::kClip;
  float clip = 0.2f;
  bool clip_value = false;  // value clipped to the same interval as the ratio
  float kl_target = 0.01f;  // of the adaptive penalty
  float kl_weight = 1.0f;   // of the penalty, at first
  // kVtrace: epochs after the first estimate advantages anew, corrected for how far the policy has moved.
  AdvantageEstimator estimator = AdvantageEstimator::kGae;
  float entropy_weight = 0.0f;
  float value_weight = 0.5f;
  AdvantageScaling scaling = AdvantageScaling::kNormalize;  // per minibatch
  float target_kl = 0.0f;                                   // 0 = no early stop
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

  // Fresh parameters.
  void initialize(const Stream& stream);

  // Advantages, then epochs of minibatch updates on the ring's T rows, then the normalisers' statistics.
  // Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, const PpoSchedule& schedule);

  ActorCritic& actor_critic() { return agent_; }
  const ActorCritic& actor_critic() const { return agent_; }
  // The penalty's weight, which training changes.
  View<float> kl_weight() const { return kl_weight_; }

 private:
  void estimate_advantages(const Stream& stream, const RingView& ring, std::uint64_t iteration, int epoch);
  RandomKey permutation_key(std::uint64_t iteration, std::uint64_t epoch) const;
  template <class Loss>
  void update_epoch(const Stream& stream, const RingView& ring, const PpoSchedule& schedule, std::uint64_t epoch,
                    const Loss& loss);

  PpoConfig config_;
  std::uint64_t seed_;
  std::int64_t rows_;  // of a rollout
  ActorCritic agent_;
  RolloutBatch batch_;
  View<MomentPart> moment_parts_;
  View<MinibatchMoments> moments_;
  View<float> kl_weight_;  // [1]
  View<float> ratios_;     // [T * N], where the objective or the estimator needs them
};

}  // namespace stampede
