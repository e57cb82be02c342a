// SPDX-License-Identifier: Apache-2.0
// Actor and critic as all policy-gradient methods use them: network, normalisers, acting, and the gradient of a batch.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "agents/fused/fused_use.h"
#include "agents/fused/policy_update.h"
#include "agents/input_stage.h"
#include "agents/learner_readback.h"
#include "agents/normalizer.h"
#include "agents/policy_metrics.h"
#include "agents/policy_tile.h"
#include "agents/state_noise.h"
#include "agents/trainable_network.h"

namespace stampede {

struct ActorCriticConfig {
  NetworkShape network;
  bool shared_torso = false;
  ContinuousPolicy continuous = ContinuousPolicy::kGaussian;  // the distribution of continuous actions
  float initial_log_sigma = 0.0f;                             // of Gaussians
  int action_bins = 11;                                       // of each dimension, kMultiCategorical
  StateNoiseConfig state_noise;                               // kGaussian
  bool normalize_observations = false;
  bool normalize_rewards = false;
  OptimizerConfig optimizer{.epsilon = 1e-5f, .max_norm = 0.5f};
  FusedUse fused = FusedUse::kAuto;
  Precision precision = Precision::kFp32;  // of fused updates where it fits; all others are fp32
};

// What memory an actor-critic takes.
struct ActorCriticShape {
  RingShape ring;      // T = rollout rows, extra_size = RolloutExtra::size(...)
  int workers = 1;     // threads that act or learn at the same time
  int act_rows = 1;    // most rows of one act() call
  int batch_rows = 1;  // most rows of one accumulate() call
  int updates = 0;     // most updates between two rollouts of a method that knows fused ones; 0: it does not
};

class ActorCritic {
 public:
  // One tower with both heads, or a tower for each; heads "policy" and "value", vector "log_sigma" for kGaussian, with
  // state_noise a matrix.
  static NetworkSpec network_spec(const ActorCriticConfig& config, const Space& observation, const Space& action);
  // Throws UsageError for a distribution that does not fit the actions.
  static void check(const ActorCriticConfig& config, const Space& action);

  ActorCritic(const ActorCriticConfig& config, const Space& action, std::shared_ptr<const Network> network,
              const ActorCriticShape& shape, std::uint64_t seed, const Stream& stream, Arena& arena);

  // Fresh parameters, normalisers that change nothing yet.
  void initialize(const Stream& stream);
  // Derives what a checkpoint does not keep.
  void refresh(const Stream& stream);

  // Actions for environments [begin, end) at one row, written to records and (unless null) extra.
  struct ActRequest {
    const void* obs;         // [N, D]
    std::uint32_t* records;  // [N, record words]
    float* extra;            // [N, extra_size]
    int begin, end;
    std::uint64_t row;
    int worker;
    ActionMode mode;
    // Draws of an evaluation come from its own seed, those of training from the agent's.
    std::optional<std::uint64_t> seed = {};
    bool values_follow = false;  // evaluate_rollout() will write the values in extra
  };
  void act(const Stream& stream, const ActRequest& request) const;
  // Values of the head slot's observations, the bootstrap of rollouts that were cut.
  void evaluate_head(const Stream& stream, const ActRequest& request) const;
  // Whether a critic of its own costs less when it sees a whole rollout at once than `rows` rows after each step.
  bool evaluates_later(const Stream& stream, int rows) const;
  // Values of the rollout's rows and of the head. Stream-ordered.
  void evaluate_rollout(const Stream& stream, const RingView& ring) const;

  // A new iteration: a stop of the last one ends, and rewards are scaled by statistics that include the new rollout.
  void begin_update(const Stream& stream, const RingView& ring, float gamma);
  // The observations of a rollout that was learnt from enter the statistics of the next.
  void end_update(const Stream& stream, const RingView& ring) { observations_.update(stream, ring); }

  // Values of the rollout's rows and of the head under the present parameters, and how likely these make the actions:
  // pi / pi_old goes to ratios [T * N]. Stream-ordered.
  void reevaluate(const Stream& stream, const RingView& ring, float* ratios) const;
  // Log-probabilities and values of a rollout as this network gives them, in place of what acting in low precision
  // stored. Stream-ordered.
  void restate(const Stream& stream, const RingView& ring) const;

  // Gradient of the mean loss of rows [0, size) of obs [M, D] (as in the ring): every group's tiles go forward, through
  // loss(stream, tile) and backward. Returns the number of groups. Stream-ordered.
  template <class TileLoss>
  int accumulate(const Stream& stream, const void* obs, int size, const TileLoss& loss) {
    const int groups = gradient_groups(stream, network_.network(), size);
    for_each_group(stream, size, groups, [&](int group, int begin, int end, int worker, const Stream& serial) {
      network_.clear_gradients(serial, group);
      for (int first = begin; first < end; first += tile_rows_) {
        const PolicyTile tile = forward(serial, obs, first, std::min(tile_rows_, end - first), worker);
        loss(serial, tile);
        backward(serial, tile, group, worker);
      }
    });
    return groups;
  }
  // The groups' metrics of accumulate() enter the sums; a mean KL above 1.5 target_kl (0 = never) stops the iteration.
  // Stream-ordered.
  void collect_metrics(const Stream& stream, int groups, float target_kl);
  // One optimiser step from the groups of accumulate(), unless their mean KL exceeds 1.5 target_kl (0 = never), which
  // stops the iteration. Stream-ordered.
  void update(const Stream& stream, int groups, float target_kl, float learning_rate);

  // The same updates in few launches, on CUDA where they fit and are wanted; null otherwise.
  FusedPolicyUpdate* fused() { return fused_ ? &*fused_ : nullptr; }
  // What updates compute in. A rollout of the same precision holds the log-probabilities that the first one finds.
  Precision learning_precision() const { return fused_ ? fused_->precision() : Precision::kFp32; }

  // How far the policy has moved since it collected the rollout in the ring, the normaliser's statistics included, over
  // the valid ones of its first rows, at most 1024. Asked for and taken like metrics, below.
  void request_drift(const Stream& stream, const RingView& ring);
  PolicyDrift take_drift(const Stream& stream) const;
  // Asks for the sums since the last request, which are cleared; waits for nothing.
  void request_metrics(const Stream& stream);
  // What the latest request asked for; waits for its copies alone.
  PolicyMetrics take_metrics(const Stream& stream) const;
  // Both at once; waits for the stream.
  PolicyMetrics read_metrics(const Stream& stream) {
    request_metrics(stream);
    return take_metrics(stream);
  }

  const PolicyLayout& layout() const { return layout_; }
  const Space& action() const { return action_; }
  TrainableNetwork& network() { return network_; }
  const TrainableNetwork& network() const { return network_; }
  std::uint64_t seed() const { return seed_; }
  ObservationNormalizer& observation_normalizer() { return observations_; }
  const ObservationNormalizer& observation_normalizer() const { return observations_; }
  RewardScaler& reward_scaler() { return rewards_; }

 private:
  struct Scratch {
    InputRows inputs;
    float *workspace = nullptr, *outputs = nullptr, *d_outputs = nullptr, *d_log_sigma = nullptr, *metrics = nullptr;
    StateNoise::Scratch state_noise;
  };
  Scratch take_scratch(int rows, bool gradient, Arena& arena) const;
  void make_fused(const ActorCriticConfig& config, int updates, const Stream& stream, Arena& arena);
  // One tower's outputs for the request's rows, or all.
  void infer(const Stream& stream, const ActRequest& request, std::optional<int> tower, const Scratch& scratch) const;
  PolicyRows policy_rows(const ActRequest& request, const Scratch& scratch) const;
  LogSigmas log_sigmas(const Scratch& scratch) const;
  void reevaluate_all(const Stream& stream, const RingView& ring, float* ratios, ReevaluatedRows::Store store) const;
  void reevaluate_tiles(const Stream& stream, const RingView& ring, int begin, int end, int worker, float* ratios,
                        ReevaluatedRows::Store store) const;
  PolicyTile forward(const Stream& stream, const void* obs, int begin, int rows, int worker) const;
  void backward(const Stream& stream, const PolicyTile& tile, int group, int worker);

  Space action_;
  RingShape ring_;
  std::uint64_t seed_;
  int max_groups_, tile_rows_;
  int last_groups_ = 1;  // of the latest update
  TrainableNetwork network_;
  int policy_tower_, value_tower_;
  ObservationNormalizer observations_;
  RewardScaler rewards_;
  PolicyLayout layout_;
  std::optional<StateNoise> state_noise_;
  std::vector<Scratch> act_scratch_;    // per worker
  std::vector<Scratch> learn_scratch_;  // per worker
  View<float> monitor_ratios_;          // of request_divergence()
  View<double> group_metrics_;          // [groups, PolicyRowMetrics::kSize]
  View<double> metric_totals_;          // [PolicyRowMetrics::kSize]
  std::optional<FusedPolicyUpdate> fused_;
  LearnerReadback readback_;
  Readback<float> gradients_readback_, ratios_readback_;
  Readback<std::uint32_t> records_readback_;
};

}  // namespace stampede
