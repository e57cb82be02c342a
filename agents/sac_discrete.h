// SPDX-License-Identifier: Apache-2.0
// Soft actor-critic with discrete actions: Christodoulou 2019 (arXiv:1910.07207), algorithm 1.
#pragma once

#include <memory>
#include <vector>

#include "agents/input_stage.h"
#include "agents/replay_batch.h"
#include "agents/sac_discrete_steps.h"
#include "agents/temperature.h"
#include "agents/tiles.h"

namespace stampede {

struct SacDiscreteConfig {
  float gamma = 0.99f;
  int batch_size = 256;
  int n_step = 1;
  int critics = 2;
  float tau = 0.005f;  // share of the online critics that moves into their target each time
  TemperatureConfig temperature;
  NetworkShape network{.activation = Activation::kRelu, .initialization = Initialization::kKaimingUniform};
  OptimizerConfig optimizer;
};

struct SacDiscreteNetworks {
  std::shared_ptr<const Network> actor, critic;
};

struct SacDiscreteMetrics {
  double critic_loss, mean_q, mean_absolute_error, mean_target, policy_loss, entropy;
  double critic_gradient_norm, actor_gradient_norm, alpha;
  bool failed;
};

class SacDiscrete {
 public:
  static SacDiscreteNetworks networks(const SacDiscreteConfig& config, const Space& observation, const Space& action,
                                      const NetworkFactory& factory);
  // Throws UsageError for more actions than kMaxActions or a batch larger than the ring.
  static void check(const SacDiscreteConfig& config, const Space& action, const RingShape& shape);

  SacDiscrete(const SacDiscreteConfig& config, const Space& action, const SacDiscreteNetworks& networks,
              const RingShape& shape, int workers, int act_rows, std::uint64_t seed, const Stream& stream,
              Arena& arena);

  void initialize(const Stream& stream);
  void act(const Stream& stream, const ActRequest& request) const;
  // One step of critics, policy and temperature on a sampled batch, then of the targets; `update` counts and keys the
  // sample. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
             float actor_rate);
  SacDiscreteMetrics read_metrics(const Stream& stream);

  TrainableNetwork& actor() { return actor_; }
  TwinCritic& critic() { return critic_; }
  Temperature& temperature() { return temperature_; }

 private:
  struct Scratch {
    InputRows states;
    float *actor_workspace = nullptr, *critic_workspace = nullptr;
    float *logits = nullptr, *q = nullptr;      // outputs
    float *d_logits = nullptr, *d_q = nullptr;  // their derivatives
    float *bootstrap = nullptr, *metrics = nullptr;
  };
  Scratch take_scratch(int rows, Arena& arena) const;
  PolicyLogits policy(const float* logits) const { return {logits, actor_.spec().output_stride(), code_.size}; }
  double* group_metrics(int group) const;

  void fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile);

  SacDiscreteConfig config_;
  ActionCode code_;
  RingShape shape_;
  std::uint64_t seed_;
  int groups_, tile_rows_;
  TrainableNetwork actor_;
  TwinCritic critic_;
  Temperature temperature_;
  ObservationNormalizer identity_;                    // observations are taken as they are
  Transitions batch_;                                 // [B]
  std::vector<Scratch> act_scratch_, learn_scratch_;  // per worker
  View<double> group_metrics_;                        // [groups, CriticRowMetrics + SacRowMetrics]
  View<double> metric_totals_;
};

}  // namespace stampede
