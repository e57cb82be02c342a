// SPDX-License-Identifier: Apache-2.0
// Twin delayed deterministic policy gradients: Fujimoto et al. 2018 (arXiv:1802.09477), algorithm 1. With one critic,
// no delay and no smoothing it is DDPG: Lillicrap et al. 2016 (arXiv:1509.02971), algorithm 1.
#pragma once

#include <memory>
#include <vector>

#include "agents/input_stage.h"
#include "agents/td3_steps.h"
#include "agents/tiles.h"

namespace stampede {

struct Td3Config {
  float gamma = 0.99f;
  int batch_size = 256;
  int n_step = 1;
  int critics = 2;
  int policy_delay = 2;  // critic updates per update of the policy and the targets
  float tau = 0.005f;
  SmoothingConfig smoothing;
  NoiseConfig noise{.kind = NoiseKind::kGaussian};
  float gumbel_temperature = 1.0f;  // of discrete actions
  float logit_penalty = 1e-3f;
  NetworkShape network{.activation = Activation::kRelu, .initialization = Initialization::kKaimingUniform};
  OptimizerConfig optimizer;
};

struct Td3Networks {
  std::shared_ptr<const Network> actor, critic;
};

struct Td3Metrics {
  double critic_loss, mean_q, mean_absolute_error, mean_target, policy_loss;
  double critic_gradient_norm, actor_gradient_norm;
  std::int64_t critic_steps, actor_steps;
  bool failed;
};

class Td3 {
 public:
  static Td3Networks networks(const Td3Config& config, const Space& observation, const Space& action,
                              const NetworkFactory& factory);
  // Throws UsageError for discrete observations, actions without bounds or too many of them, or a batch larger than the
  // ring.
  static void check(const Td3Config& config, const Space& observation, const Space& action, const RingShape& shape);

  Td3(const Td3Config& config, const Space& action, const Td3Networks& networks, const RingShape& shape, int workers,
      int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream);
  void act(const Stream& stream, const ActRequest& request) const;
  // One step of the critics on a sampled batch and, every policy_delay updates, of the policy and the targets; `update`
  // counts from 0 and keys the sample. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
             float actor_rate);
  Td3Metrics read_metrics(const Stream& stream);

  TrainableNetwork& actor() { return actor_; }
  TwinCritic& critic() { return critic_; }
  View<float> actor_target() const { return actor_target_; }
  const ExplorationNoise& noise() const { return noise_; }

 private:
  struct Scratch {
    InputRows states;
    CriticRows state_actions{};
    float *actor_workspace = nullptr, *critic_workspace = nullptr;
    float *actions = nullptr, *q = nullptr;      // outputs
    float *d_actions = nullptr, *d_q = nullptr;  // their derivatives
    float* d_state_actions = nullptr;            // [rows, critic input stride]
    float *softened = nullptr, *bootstrap = nullptr, *metrics = nullptr;
  };
  Scratch take_scratch(int rows, Arena& arena) const;
  ActorOutputs actor_outputs(const float* values) const { return {values, actor_.spec().output_stride()}; }
  double* group_metrics(int group) const;

  void fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void differentiate_actions(const Stream& stream, const Tile& tile);
  void update_targets(const Stream& stream);

  Td3Config config_;
  ActionCode code_;
  RingShape shape_;
  std::uint64_t seed_;
  int groups_, tile_rows_;
  TrainableNetwork actor_;
  TwinCritic critic_;
  View<float> actor_target_;  // [P]
  ExplorationNoise noise_;
  ObservationNormalizer identity_;                    // observations are taken as they are
  Transitions batch_;                                 // [B]
  std::vector<Scratch> act_scratch_, learn_scratch_;  // per worker
  View<double> group_metrics_;                        // [groups, CriticRowMetrics + Td3RowMetrics]
  View<double> metric_totals_;
};

}  // namespace stampede
