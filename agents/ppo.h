// SPDX-License-Identifier: Apache-2.0
// Proximal Policy Optimization with the clipped surrogate: Schulman et al. 2017, arXiv:1707.06347, algorithm 1.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agents/input_stage.h"
#include "agents/normalizer.h"
#include "agents/ppo_steps.h"
#include "agents/trainable_network.h"

namespace stampede {

struct PpoConfig {
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
  bool normalize_observations = false;
  bool normalize_rewards = false;
  NetworkShape network;
  bool shared_torso = false;
  float initial_log_sigma = 0.0f;
  OptimizerConfig optimizer{.epsilon = 1e-5f, .max_norm = 0.5f};
};

// What changes from iteration to iteration, evaluated by the caller from rows.
struct PpoSchedule {
  float learning_rate;
  float clip;
  float entropy_weight;
  std::uint64_t iteration;  // keys the minibatch permutations
};

// Means over an iteration's minibatches.
struct PpoMetrics {
  double policy_loss, value_loss, entropy, approx_kl, clip_fraction, explained_variance, gradient_norm;
  std::int64_t optimizer_steps;
  bool stopped, failed;
};

class Ppo {
 public:
  // Shapes that depend on the configuration alone.
  static NetworkSpec network_spec(const PpoConfig& config, const Space& observation, const Space& action);
  // Throws UsageError for values out of range or more minibatches than rows.
  static void check(const PpoConfig& config, std::int64_t rollout_rows);

  // ring: T = rollout rows, extra_size = RolloutExtra::size(...). workers: threads that act at the same time.
  // act_rows: most rows of one act() call.
  Ppo(const PpoConfig& config, const Space& observation, const Space& action, std::shared_ptr<const Network> network,
      const RingShape& shape, int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream);

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
  };
  void act(const Stream& stream, const ActRequest& request) const;
  // Values of the head slot's observations, the bootstrap of rollouts that were cut.
  void evaluate_head(const Stream& stream, const ActRequest& request) const;

  // Advantages, then epochs of minibatch updates on the ring's T rows, then the normalisers' statistics.
  // Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, const PpoSchedule& schedule);

  // Waits for the stream, reads and clears the iteration's sums.
  PpoMetrics read_metrics(const Stream& stream);

  TrainableNetwork& network() { return network_; }
  const TrainableNetwork& network() const { return network_; }
  ObservationNormalizer& observation_normalizer() { return observations_; }
  RewardScaler& reward_scaler() { return rewards_; }

 private:
  struct Scratch {
    InputRows inputs;
    float *workspace = nullptr, *outputs = nullptr, *d_outputs = nullptr, *d_log_sigma = nullptr, *metrics = nullptr;
  };
  Scratch take_scratch(int rows, bool gradient, Arena& arena) const;
  void infer(const Stream& stream, const ActRequest& request, const Scratch& scratch) const;
  PolicyRows policy_rows(const ActRequest& request, const Scratch& scratch) const;
  void update_minibatch(const Stream& stream, const RingView& ring, const Minibatch& minibatch,
                        const PpoLossConfig& loss, float learning_rate);
  void accumulate_tile(const Stream& stream, const PpoLossConfig& loss, int begin, int rows, int group,
                       const Scratch& scratch);

  PpoConfig config_;
  Space action_;
  RingShape shape_;
  std::uint64_t seed_;
  int max_groups_;
  int tile_rows_;
  TrainableNetwork network_;
  ObservationNormalizer observations_;
  RewardScaler rewards_;
  PolicyLayout layout_;
  std::vector<Scratch> act_scratch_;    // per worker
  std::vector<Scratch> learn_scratch_;  // per worker
  PpoBatch batch_;
  View<MomentPart> moment_parts_;
  View<MinibatchMoments> moments_;
  View<double> group_metrics_;  // [groups, PpoRowMetrics::kSize]
  View<double> metric_totals_;  // [PpoRowMetrics::kSize]
};

}  // namespace stampede
