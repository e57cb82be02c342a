// SPDX-License-Identifier: Apache-2.0
// Soft actor-critic: Haarnoja et al. 2018b (arXiv:1812.05905), algorithm 1, with twin critics and a learned
// temperature; with value_network the original of Haarnoja et al. 2018a (arXiv:1801.01290), algorithm 1.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agents/sac_steps.h"
#include "agents/soft_metrics.h"
#include "agents/state_noise.h"

namespace stampede {

struct SacConfig : OffPolicyConfig {
  bool value_network = false;  // V(s) with a target of its own instead of target critics
  TemperatureConfig temperature;
  NoiseConfig noise;
  StateNoiseConfig state_noise;     // in place of a head for log sigma
  float initial_log_sigma = -2.0f;  // with it, as StateNoise::parameters says
};

struct SacNetworks {
  std::shared_ptr<const Network> actor, critic, value;  // value: null unless value_network
};

class Sac final : public OffPolicyActorCritic {
 public:
  static SacNetworks networks(const SacConfig& config, const Space& observation, const Space& action,
                              const NetworkFactory& factory);
  // Throws UsageError for discrete observations, actions without bounds, or a batch larger than the ring.
  static void check(const SacConfig& config, const Space& observation, const Space& action, const RingShape& shape);

  Sac(const SacConfig& config, const Space& action, const SacNetworks& networks, const RingShape& shape, int workers,
      int act_rows, std::uint64_t seed, const Stream& stream, Arena& arena);

  void initialize(const Stream& stream) override;
  void refresh(const Stream& stream) override;
  void act(const Stream& stream, const ActRequest& request) const override;
  // One step of critics, policy and temperature on a sampled batch, then of the targets; `update` counts and keys the
  // sample. Stream-ordered.
  void learn(const Stream& stream, const TrajectoryRing& ring, std::uint64_t update, float critic_rate,
             float actor_rate) override;
  void request_metrics(const Stream& stream) override;
  // What the latest request asked for; waits for its copies alone.
  SoftMetrics take_metrics(const Stream& stream) const;
  // Both at once; waits for the stream.
  SoftMetrics read_metrics(const Stream& stream) {
    request_metrics(stream);
    return take_metrics(stream);
  }

  TwinCritic* value() { return value_ ? &*value_ : nullptr; }
  Temperature& temperature() { return temperature_; }
  const ExplorationNoise& noise() const { return noise_; }

 private:
  struct SacScratch : Scratch {
    float *value_workspace = nullptr, *values = nullptr, *d_values = nullptr;
    float *noise = nullptr, *log_probs = nullptr;
    StateNoise::Scratch state_noise;
  };
  SacScratch take_sac_scratch(int rows, bool gradient, Arena& arena) const;
  // What the scratch's policy outputs say, log sigmas measured from their features where these make the noise.
  SquashedOutputs policy_outputs(const Stream& stream, int rows, const SacScratch& scratch) const;
  // From the critics' d_state_actions to d_policy, and to the gradient of what is beside the network's layers.
  void differentiate_policy(const Stream& stream, const Tile& tile, const SquashedOutputs& policy,
                            const SacScratch& scratch);

  void fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void bootstrap_next_states(const Stream& stream, const UniformSampler& sampler, const Tile& tile,
                             const SacScratch& scratch);
  void improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void fit_value(const Stream& stream, const Tile& tile, const SacScratch& scratch);
  void update_targets(const Stream& stream);

  std::optional<TwinCritic> value_;  // one "critic" of states alone
  Temperature temperature_;
  ExplorationNoise noise_;
  std::optional<StateNoise> state_noise_;
  Readback<LearnerState> value_state_;
  std::vector<SacScratch> act_scratch_, learn_scratch_;  // per worker
};

}  // namespace stampede
