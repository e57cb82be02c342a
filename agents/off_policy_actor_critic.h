// SPDX-License-Identifier: Apache-2.0
// What off-policy actor-critics share: an actor, twin critics, one sampled batch per update, the sums of its losses.
#pragma once

#include <memory>
#include <vector>

#include "agents/input_stage.h"
#include "agents/learner_readback.h"
#include "agents/off_policy_act.h"
#include "agents/replay_batch.h"
#include "agents/tiles.h"
#include "agents/twin_critic.h"

namespace stampede {

struct OffPolicyConfig {
  float gamma = 0.99f;
  int batch_size = 256;
  int n_step = 1;  // steps of reward in a target
  int critics = 2;
  float tau = 0.005f;  // share of an online network that moves into its target each time
  NetworkShape network{.activation = Activation::kRelu, .initialization = Initialization::kKaimingUniform};
  OptimizerConfig optimizer;
};

// Means since the last read; sums of the method's own metrics are in policy_sums.
struct OffPolicyMetrics {
  double critic_loss, mean_q, mean_absolute_error, mean_target, count;
  double critic_gradient_norm, actor_gradient_norm;
  std::int64_t critic_steps, actor_steps;
  bool failed;
  std::vector<double> policy_sums;
};

class OffPolicyActorCritic {
 public:
  virtual ~OffPolicyActorCritic() = default;

  virtual void initialize(const Stream& stream);
  virtual void act(const Stream& stream, const ActRequest& request) const = 0;
  // One update on a sampled batch; `update` counts from 0 and keys the sample. Stream-ordered.
  virtual void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
                     float actor_rate) = 0;
  // Derives what a checkpoint does not keep.
  virtual void refresh(const Stream& stream);

  // Asks for the sums since the last request, which are cleared; waits for nothing.
  virtual void request_metrics(const Stream& stream);

  TrainableNetwork& actor() { return actor_; }
  TwinCritic& critic() { return critic_; }

 protected:
  // Of a tile, or of an act() call.
  struct Scratch {
    InputRows states;
    CriticRows state_actions{};  // critics of (observation, action) only
    float *actor_workspace = nullptr, *critic_workspace = nullptr;
    float *policy = nullptr, *d_policy = nullptr;  // the actor's outputs and their derivatives
    float *q = nullptr, *d_q = nullptr;            // the critics'
    float* d_state_actions = nullptr;              // [rows, critic input stride]
    float *bootstrap = nullptr, *metrics = nullptr;
  };
  // policy_metrics: sums per row beside the critics'.
  OffPolicyActorCritic(const OffPolicyConfig& config, const ActionCode& code, std::shared_ptr<const Network> actor,
                       std::shared_ptr<const Network> critic, const RingShape& shape, int policy_metrics,
                       std::uint64_t seed, const Stream& stream, Arena& arena);

  static float* take_rows(int rows, int width, Arena& arena);  // [rows, width]
  void take_scratch(int rows, Arena& arena, Scratch& scratch) const;
  void take_state_actions(int rows, Arena& arena, Scratch& scratch) const;

  // The actor's outputs for the environments of a request, unless its actions are random.
  void infer(const Stream& stream, const ActRequest& request, const Scratch& scratch) const;
  ActRows rows_of(const ActRequest& request) const { return act_rows(request, code_, shape_.record, seed_); }

  UniformSampler sampler(const TrajectoryRing& ring, std::uint64_t update) const;
  // Fills the tile's part of the batch. Where alpha is given, returns of several steps are soft ones.
  void sample_tile(const Stream& stream, const UniformSampler& sampler, const Tile& tile,
                   const float* alpha = nullptr) const;
  template <class Work>
  void for_each_tile_of_batch(const Stream& stream, const Work& work) const {
    for_each_tile(stream, batch_size_, groups_, tile_rows_, work);
  }
  float row_weight() const { return 1.0f / static_cast<float>(batch_size_); }
  double* group_metrics(int group) const { return group_metrics_.data + group * metrics_; }
  double* group_policy_metrics(int group) const { return group_metrics(group) + CriticRowMetrics::kSize; }

  // Gradient of (Q_k(s, a) - reward - discount * bootstrap)^2 of the actions that were executed.
  void regress_critics(const Stream& stream, const RingView& ring, const Tile& tile, const Scratch& scratch);
  // From d_q to the critics' gradients.
  void backward_critics(const Stream& stream, NetworkInput input, const Tile& tile, const Scratch& scratch);
  // From d_policy to the actor's gradients.
  void backward_policy(const Stream& stream, const Tile& tile, const Scratch& scratch);
  void add_metrics(const Stream& stream) const;
  // What the latest request_metrics() asked for; waits for its copies alone.
  OffPolicyMetrics take_sums(const Stream& stream) const;

  ActionCode code_;
  RingShape shape_;
  std::uint64_t seed_;
  float gamma_, tau_;
  int n_step_, batch_size_, groups_, tile_rows_, metrics_;
  TrainableNetwork actor_;
  TwinCritic critic_;
  ObservationNormalizer identity_;  // observations are taken as they are
  Transitions batch_;               // [B]
  View<double> group_metrics_;      // [groups, CriticRowMetrics and the method's]
  View<double> metric_totals_;

 private:
  LearnerReadback readback_;
  Readback<LearnerState> actor_state_;
};

}  // namespace stampede
