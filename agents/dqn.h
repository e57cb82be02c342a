// SPDX-License-Identifier: Apache-2.0
// Deep Q-learning with experience replay and a target network: Mnih et al. 2015, Nature 518, algorithm 1.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agents/dqn_steps.h"
#include "agents/input_stage.h"
#include "agents/trainable_network.h"
#include "kernels/space.h"

namespace stampede {

struct DqnConfig {
  float gamma = 0.99f;
  int batch_size = 64;
  int n_step = 1;
  TdLoss loss = TdLoss::kHuber;
  float target_tau = 1.0f;  // 1 copies the network; below 1 averages (Polyak)
  NetworkShape network{.activation = Activation::kRelu, .initialization = Initialization::kKaimingUniform};
  OptimizerConfig optimizer{.max_norm = 10.0f};
};

struct DqnMetrics {
  double loss, mean_q, mean_absolute_error, mean_target, gradient_norm;
  std::int64_t optimizer_steps;
  bool failed;
};

class Dqn {
 public:
  static NetworkSpec network_spec(const DqnConfig& config, const Space& observation, const Space& action);
  // Throws UsageError when a batch is larger than the ring or the ring too short for n-step transitions.
  static void check(const DqnConfig& config, const RingShape& shape);

  Dqn(const DqnConfig& config, const Space& action, std::shared_ptr<const Network> network, const RingShape& shape,
      int workers, int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream);

  // Actions for environments [begin, end) at one row; epsilon = 0 is greedy.
  struct ActRequest {
    const void* obs;         // [N, D]
    std::uint32_t* records;  // [N, record words]
    int begin, end;
    std::uint64_t row;
    int worker;
    float epsilon;
    // Draws of an evaluation come from its own seed, those of training from the agent's.
    std::optional<std::uint64_t> seed = {};
  };
  void act(const Stream& stream, const ActRequest& request) const;

  // One gradient step on a sampled batch; `update` counts updates and keys the sample. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float learning_rate);
  // Moves the target network towards the online one by target_tau. Stream-ordered.
  void update_target(const Stream& stream);

  DqnMetrics read_metrics(const Stream& stream);

  TrainableNetwork& network() { return network_; }
  const TrainableNetwork& network() const { return network_; }
  View<float> target_parameters() const { return target_; }

 private:
  struct Scratch {
    InputRows inputs, next_inputs;
    TransitionTile transitions{};
    float *workspace = nullptr, *outputs = nullptr, *target_outputs = nullptr, *d_outputs = nullptr, *metrics = nullptr;
  };
  Scratch take_scratch(int rows, bool gradient, Arena& arena) const;
  void accumulate_tile(const Stream& stream, const UniformSampler& sampler, int begin, int rows, int group,
                       const Scratch& scratch);

  DqnConfig config_;
  Space action_;
  RingShape shape_;
  std::uint64_t seed_;
  int groups_, tile_rows_;
  TrainableNetwork network_;
  ObservationNormalizer identity_;                    // DQN takes observations as they are
  View<float> target_;                                // [P]
  std::vector<Scratch> act_scratch_, learn_scratch_;  // per worker
  View<double> group_metrics_;                        // [groups, DqnRowMetrics::kSize]
  View<double> metric_totals_;                        // [DqnRowMetrics::kSize]
};

}  // namespace stampede
