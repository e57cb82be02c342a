// SPDX-License-Identifier: Apache-2.0
// Trust Region Policy Optimization: Schulman et al. 2015, arXiv:1502.05477, with generalised advantage estimation and
// the separate value function of Schulman et al. 2016, arXiv:1506.02438.
#pragma once

#include <memory>
#include <vector>

#include "agents/actor_critic.h"
#include "agents/learner_readback.h"
#include "agents/trpo_steps.h"
#include "agents/trust_region.h"

namespace stampede {

struct TrpoConfig {
  ActorCriticConfig actor_critic;  // separate towers; the optimiser is the critic's
  TrustRegionConfig trust_region;
  float gamma = 0.99f;
  float lambda = 0.95f;
  AdvantageScaling scaling = AdvantageScaling::kNormalize;  // per rollout
  float value_weight = 1.0f;
  int critic_epochs = 10;
  int critic_minibatches = 16;  // per epoch
};

// What changes from iteration to iteration, evaluated by the caller from rows.
struct TrpoSchedule {
  float learning_rate;  // of the critic
  float max_kl;         // delta of equation 14
  float entropy_weight;
  std::uint64_t iteration;  // keys the minibatch permutations
};

// Means over the updates since they were last read.
struct TrpoMetrics {
  double surrogate_before, surrogate_after, kl;
  double clip_fraction;                        // ratios of the accepted policy outside PPO's usual interval
  double step_fraction, line_search_failures;  // of the full step; the share of updates that moved nothing
  double cg_residual;                          // squared, relative to the gradient's square
  double entropy, explained_variance, value_loss;
  double gradient_norm, critic_gradient_norm;  // of the policy; of the critic in its last update
  bool failed;
};

class Trpo {
 public:
  // Throws UsageError for values out of range, a shared torso, or more minibatches than rows.
  static void check(const TrpoConfig& config, std::int64_t rollout_rows);

  // The towers of ActorCritic::network_spec by themselves. log_sigma belongs to the policy.
  static NetworkSpec policy_spec(const TrpoConfig& config, const Space& observation, const Space& action);
  static NetworkSpec critic_spec(const TrpoConfig& config, const Space& observation);

  // Networks of ActorCritic::network_spec, policy_spec and critic_spec.
  struct Networks {
    std::shared_ptr<const Network> both, policy, critic;
  };
  // ring: T = rollout rows, extra_size = RolloutExtra::size(...). workers: threads that act at the same time.
  // act_rows: most rows of one act() call.
  Trpo(const TrpoConfig& config, const Space& action, Networks networks, const RingShape& shape, int workers,
       int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  // Advantages, one step of the policy, epochs of minibatch updates of the critic, then the normalisers' statistics.
  // Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, const TrpoSchedule& schedule);

  // Asks for the sums since the last request, which are cleared; waits for nothing.
  void request_metrics(const Stream& stream);
  // What the latest request asked for; waits for its copies alone.
  TrpoMetrics take_metrics(const Stream& stream) const;
  // Both at once; waits for the stream.
  TrpoMetrics read_metrics(const Stream& stream) {
    request_metrics(stream);
    return take_metrics(stream);
  }

  ActorCritic& actor_critic() { return agent_; }
  const ActorCritic& actor_critic() const { return agent_; }
  const TrustRegion& trust_region() const { return region_; }

 private:
  struct Scratch {
    InputRows inputs;
    float *workspace = nullptr, *outputs = nullptr, *d_outputs = nullptr, *metrics = nullptr;
  };

  void improve_policy(const Stream& stream, const RingView& ring, const TrpoSchedule& schedule);
  void copy_policy(const Stream& stream, bool into_region) const;
  void fit_critic(const Stream& stream, const RingView& ring, const TrpoSchedule& schedule);
  void update_critic(const Stream& stream, const RingView& ring, const Minibatch& minibatch, float learning_rate);
  void accumulate_critic_tile(const Stream& stream, int begin, int rows, int group, const Scratch& scratch);

  TrpoConfig config_;
  std::uint64_t seed_;
  int rows_;         // of a rollout
  int critic_rows_;  // of the largest minibatch
  ActorCritic agent_;
  TrustRegion region_;
  TrainableNetwork critic_;
  int critic_tile_rows_;
  RolloutBatch rollout_;  // without observations, in the ring's order
  RolloutBatch batch_;    // a minibatch of the critic
  View<MomentPart> moment_parts_;
  View<MinibatchMoments> moments_;
  std::vector<Scratch> critic_scratch_;  // per worker
  View<double> critic_groups_;           // [groups, TrpoCriticMetrics::kSize]
  View<double> critic_totals_;           // [TrpoCriticMetrics::kSize]
  LearnerReadback readback_;             // of the critic
  Readback<TrustRegionTotals> region_readback_;
};

}  // namespace stampede
