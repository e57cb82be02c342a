// SPDX-License-Identifier: Apache-2.0
// Deep Q-learning with experience replay and a target network: Mnih et al. 2015, Nature 518, algorithm 1, with the
// options that Hessel et al. 2018 (Rainbow, arXiv:1710.02298) combine. Each is a switch of its own; all compose.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agents/dqn_steps.h"
#include "agents/fused/dqn_update.h"
#include "agents/fused/fused_use.h"
#include "agents/input_stage.h"
#include "agents/learner_readback.h"
#include "agents/noisy_parameters.h"
#include "agents/trainable_network.h"
#include "kernels/space.h"
#include "replay/prioritized_sampler.h"

namespace stampede {

struct DqnConfig {
  float gamma = 0.99f;
  int batch_size = 64;
  int n_step = 1;  // Sutton 1988; cut at episode ends, bootstrapped through truncations
  TdLoss loss = TdLoss::kHuber;
  float target_tau = 1.0f;   // 1 copies the network; below 1 averages (Polyak)
  bool double_q = false;     // van Hasselt et al. 2016 (arXiv:1509.06461): the online network chooses the next action
  bool dueling = false;      // Wang et al. 2016 (arXiv:1511.06581)
  bool soft = false;         // Haarnoja et al. 2017 (arXiv:1702.08165): V = alpha log sum exp(Q / alpha)
  bool prioritized = false;  // Schaul et al. 2016 (arXiv:1511.05952), by |TD error|, with c51 by the KL divergence
  PriorityConfig priority = {};
  NoisyLayers noisy = NoisyLayers::kOff;  // Fortunato et al. 2018 (arXiv:1706.10295)
  float noise_sigma = 0.5f;               // their sigma_0
  float dropout = 0.0f;                   // share of hidden units that are silent when acting
  ValueDistribution distribution = ValueDistribution::kNone;
  Support support = {};  // atoms; v_min and v_max of the categorical distribution
  float kappa = 1.0f;    // of the quantile Huber loss
  NetworkShape network = {.activation = Activation::kRelu, .initialization = Initialization::kKaimingUniform};
  OptimizerConfig optimizer{.max_norm = 10.0f};
  FusedUse fused = FusedUse::kAuto;
  std::vector<double> epsilon_ends = {};    // final epsilons that environments draw; empty: all share one
  std::vector<double> epsilon_shares = {};  // how often each is drawn; empty: equally
};

struct DqnMetrics {
  double loss, mean_q, mean_absolute_error, mean_target, gradient_norm;
  // Of sampled rows, before and after their update; 0 without prioritised replay.
  double mean_importance, importance_deviation, mean_priority, largest_priority;
  std::int64_t optimizer_steps;
  bool failed;
};

class Dqn {
 public:
  static NetworkSpec network_spec(const DqnConfig& config, const Space& observation, const Space& action);
  // Throws UsageError when a batch is larger than the ring, the ring too short for n-step transitions, the atoms of a
  // distribution do not make one, or final epsilons do not fit their shares.
  static void check(const DqnConfig& config, const RingShape& shape);

  Dqn(const DqnConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
      int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream);

  // Whether returns take in the entropies of the states they run through. The ring then has an extra float for them.
  static bool records_entropies(const DqnConfig& config) { return config.soft && config.n_step > 1; }

  // Actions for environments [begin, end) at one row.
  struct ActRequest {
    const void* obs;         // [N, D]
    std::uint32_t* records;  // [N, record words]
    int begin, end;
    std::uint64_t row;
    int worker;
    Exploration exploration;
    // Of soft returns of several steps: where the ring keeps entropies [N], and the temperature they are measured at.
    float* entropies = nullptr;
    float temperature = 0.0f;
    // Draws of an evaluation come from its own seed and its network has no noise; those of training come from the
    // agent's.
    std::optional<std::uint64_t> seed = {};
  };
  // Once per row of training, before act(): draws the noise and the dropout that all environments act with.
  void prepare_acting(const Stream& stream, std::uint64_t row);
  void act(const Stream& stream, const ActRequest& request) const;
  // Whether prepare_acting() draws anything, and what training acts with after it.
  bool acts_with_noise() const { return acting_.parameters.size() > 0; }
  const float* acting_parameters() const { return acts_with_noise() ? acting_.parameters.data : network_.parameters(); }

  // After every ring.advance(): prioritised replay takes in the rows that became sampleable. Stream-ordered.
  void store(const Stream& stream, const TrajectoryRing& ring);

  struct LearnRequest {
    std::uint64_t update;  // counts updates and keys what they draw
    float learning_rate;
    float temperature;          // of soft targets
    float beta;                 // of importance weights
    bool moves_target = false;  // update_target() follows
  };
  // One gradient step on a sampled batch, and the target network's where the request says so. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request);
  // Moves the target network towards the online one by target_tau. Stream-ordered.
  void update_target(const Stream& stream);

  // Asks for the sums since the last request, which are cleared; waits for nothing.
  void request_metrics(const Stream& stream);
  // What the latest request asked for; waits for its copies alone.
  DqnMetrics take_metrics(const Stream& stream) const;
  // Both at once; waits for the stream.
  DqnMetrics read_metrics(const Stream& stream) {
    request_metrics(stream);
    return take_metrics(stream);
  }

  TrainableNetwork& network() { return network_; }
  const TrainableNetwork& network() const { return network_; }
  View<float> target_parameters() const { return target_; }
  FinalEpsilons& final_epsilons() { return final_epsilons_; }
  std::uint64_t seed() const { return seed_; }
  PrioritizedSampler* prioritized() { return prioritized_ ? &*prioritized_ : nullptr; }

 private:
  struct Scratch {
    InputRows inputs, next_inputs;
    Transitions transitions;
    std::int32_t* actions = nullptr;
    float *workspace = nullptr, *outputs = nullptr, *target_outputs = nullptr, *d_outputs = nullptr, *metrics = nullptr;
    float* q = nullptr;  // [rows, q_stride] expected values of actions, where outputs are not those already
  };
  // What acts or chooses: expected values [rows, stride] of all actions.
  struct ActionValues {
    const float* q;
    int stride;
  };
  // A prioritised batch: importance weights need all of it before the first tile.
  struct Batch {
    View<std::int32_t> indices;  // [B]
    View<float> importance;      // [B]
    View<float> priorities;      // [B], what the losses say
  };
  Scratch take_scratch(int rows, bool gradient, Arena& arena) const;
  void make_fused(const Stream& stream, Arena& arena);
  void update_fused(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request);
  void update_stepwise(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request);
  const float* online() const { return noisy_.off() ? network_.parameters() : online_.parameters.data; }
  const float* target() const { return noisy_.off() ? target_.data : target_draw_.parameters.data; }
  void draw_noise(const Stream& stream, std::uint64_t update);
  ActionValues values_of(const Stream& stream, const float* outputs, int rows, float* q) const;
  ActionValues choosing_values(const Stream& stream, int rows, const Scratch& scratch) const;
  Transitions sample_tile(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, int begin, int rows,
                          const Scratch& scratch) const;
  void accumulate_tile(const Stream& stream, const TrajectoryRing& ring, const LearnRequest& request, int begin,
                       int rows, int group, const Scratch& scratch);

  DqnConfig config_;
  Space action_;
  RingShape shape_;
  std::uint64_t seed_;
  int groups_, tile_rows_;
  ValueHeads heads_;
  NoisyParameters noisy_;
  TrainableNetwork network_;
  ObservationNormalizer identity_;           // DQN takes observations as they are
  View<float> target_;                       // [P + sigmas]
  NoisyDraw online_, target_draw_, acting_;  // empty without noise
  FinalEpsilons final_epsilons_;
  std::optional<PrioritizedSampler> prioritized_;
  Batch batch_;                                       // empty without prioritised replay
  std::vector<Scratch> act_scratch_, learn_scratch_;  // per worker
  View<double> group_metrics_;                        // [groups, PriorityRowMetrics::kSize]
  View<double> metric_totals_;                        // [PriorityRowMetrics::kSize]
  std::optional<FusedDqn> fused_;                     // on CUDA where it fits
  LearnerReadback readback_;
  Readback<float> largest_priority_;
};

}  // namespace stampede
