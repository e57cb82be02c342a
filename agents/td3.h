// SPDX-License-Identifier: Apache-2.0
// Twin delayed deterministic policy gradients: Fujimoto et al. 2018 (arXiv:1802.09477), algorithm 1. With one critic,
// no delay and no smoothing it is DDPG: Lillicrap et al. 2016 (arXiv:1509.02971), algorithm 1.
#pragma once

#include <memory>
#include <vector>

#include "agents/off_policy_actor_critic.h"
#include "agents/td3_steps.h"

namespace stampede {

// Which hidden layers are normalised by batch. DDPG's paper has it where no action has entered yet: in the actor.
enum class BatchNormLayers : std::uint8_t { kNone, kActor, kAll };

struct Td3Config : OffPolicyConfig {
  int policy_delay = 2;  // critic updates per update of the policy and the targets
  SmoothingConfig smoothing;
  NoiseConfig noise{.kind = NoiseKind::kGaussian};
  float gumbel_temperature = 1.0f;  // of discrete actions
  float logit_penalty = 1e-3f;      // of discrete actions
  float saturation_penalty = 0.0f;  // of continuous ones
  BatchNormLayers batch_norm = BatchNormLayers::kNone;
};

struct Td3Networks {
  std::shared_ptr<const Network> actor, critic;
};

struct Td3Metrics : OffPolicyMetrics {
  double policy_loss = 0.0;
};

class Td3 final : public OffPolicyActorCritic {
 public:
  static Td3Networks networks(const Td3Config& config, const Space& observation, const Space& action,
                              const NetworkFactory& factory);
  // Throws UsageError for discrete observations, actions without bounds or too many of them, or a batch larger than the
  // ring, or weight decay together with batch normalisation.
  static void check(const Td3Config& config, const Space& observation, const Space& action, const RingShape& shape);

  Td3(const Td3Config& config, const Space& action, const Td3Networks& networks, const RingShape& shape, int workers,
      int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream) override;
  void act(const Stream& stream, const ActRequest& request) const override;
  // One step of the critics on a sampled batch and, every policy_delay updates, of the policy and the targets; `update`
  // counts from 0 and keys the sample. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
             float actor_rate) override;
  // What the latest request asked for; waits for its copies alone.
  Td3Metrics take_metrics(const Stream& stream) const;
  // Both at once; waits for the stream.
  Td3Metrics read_metrics(const Stream& stream) {
    request_metrics(stream);
    return take_metrics(stream);
  }

  View<float> actor_target() const { return actor_target_; }
  const ExplorationNoise& noise() const { return noise_; }

 private:
  struct Td3Scratch : Scratch {
    float* softened = nullptr;  // [rows, A], discrete actions only
  };
  Td3Scratch take_td3_scratch(int rows, Arena& arena) const;
  ActorOutputs actor_outputs(const float* values) const { return {values, actor_.spec().output_stride()}; }

  void fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void differentiate_actions(const Stream& stream, const Tile& tile);
  void update_targets(const Stream& stream);

  Td3Config config_;
  View<float> actor_target_;  // [P]
  ExplorationNoise noise_;
  std::vector<Td3Scratch> act_scratch_, learn_scratch_;  // per worker
};

}  // namespace stampede
