// SPDX-License-Identifier: Apache-2.0
// Soft actor-critic: Haarnoja et al. 2018b (arXiv:1812.05905), algorithm 1, with twin critics and a learned
// temperature; with value_network the original of Haarnoja et al. 2018a (arXiv:1801.01290), algorithm 1.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agents/input_stage.h"
#include "agents/sac_steps.h"
#include "agents/temperature.h"
#include "agents/tiles.h"

namespace stampede {

struct SacConfig {
  float gamma = 0.99f;
  int batch_size = 256;
  int n_step = 1;
  int critics = 2;
  float tau = 0.005f;          // share of the online network that moves into its target each time
  bool value_network = false;  // V(s) with a target of its own instead of target critics
  TemperatureConfig temperature;
  NoiseConfig noise;
  NetworkShape network{.activation = Activation::kRelu, .initialization = Initialization::kKaimingUniform};
  OptimizerConfig optimizer;
};

struct SacNetworks {
  std::shared_ptr<const Network> actor, critic, value;  // value: null unless value_network
};

struct SacMetrics {
  double critic_loss, mean_q, mean_absolute_error, mean_target, policy_loss, entropy, value_loss;
  double critic_gradient_norm, actor_gradient_norm, alpha;
  bool failed;
};

class Sac {
 public:
  static SacNetworks networks(const SacConfig& config, const Space& observation, const Space& action,
                              const NetworkFactory& factory);
  // Throws UsageError for discrete observations, actions without bounds, or a batch larger than the ring.
  static void check(const SacConfig& config, const Space& observation, const Space& action, const RingShape& shape);

  Sac(const SacConfig& config, const Space& action, const SacNetworks& networks, const RingShape& shape, int workers,
      int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream);
  void act(const Stream& stream, const ActRequest& request) const;
  // One step of critics, policy and temperature on a sampled batch, then of the targets; `update` counts and keys the
  // sample. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
             float actor_rate);
  SacMetrics read_metrics(const Stream& stream);

  TrainableNetwork& actor() { return actor_; }
  TwinCritic& critic() { return critic_; }
  TwinCritic* value() { return value_ ? &*value_ : nullptr; }
  Temperature& temperature() { return temperature_; }
  const ExplorationNoise& noise() const { return noise_; }

 private:
  struct Scratch {
    InputRows states;
    CriticRows state_actions{};
    float *actor_workspace = nullptr, *critic_workspace = nullptr, *value_workspace = nullptr;
    float *policy = nullptr, *q = nullptr, *values = nullptr;        // outputs
    float *d_policy = nullptr, *d_q = nullptr, *d_values = nullptr;  // their derivatives
    float* d_state_actions = nullptr;                                // [rows, critic input stride]
    float *noise = nullptr, *log_probs = nullptr, *bootstrap = nullptr, *metrics = nullptr;
  };
  Scratch take_scratch(int rows, Arena& arena) const;
  SquashedOutputs policy_outputs(const float* values) const;
  double* group_metrics(int group) const;

  void fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void bootstrap_next_states(const Stream& stream, const UniformSampler& sampler, const Tile& tile,
                             const Scratch& scratch);
  void improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void fit_value(const Stream& stream, const Tile& tile, const Scratch& scratch);
  void update_targets(const Stream& stream);

  SacConfig config_;
  ActionCode code_;
  RingShape shape_;
  std::uint64_t seed_;
  int groups_, tile_rows_;
  TrainableNetwork actor_;
  TwinCritic critic_;
  std::optional<TwinCritic> value_;  // one "critic" of states alone
  Temperature temperature_;
  ExplorationNoise noise_;
  ObservationNormalizer identity_;                    // observations are taken as they are
  Transitions batch_;                                 // [B]
  std::vector<Scratch> act_scratch_, learn_scratch_;  // per worker
  View<double> group_metrics_;                        // [groups, CriticRowMetrics + SacRowMetrics]
  View<double> metric_totals_;
};

}  // namespace stampede
