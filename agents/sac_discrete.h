// SPDX-License-Identifier: Apache-2.0
// Soft actor-critic with discrete actions: Christodoulou 2019 (arXiv:1910.07207), algorithm 1.
#pragma once

#include <memory>
#include <vector>

#include "agents/sac_discrete_steps.h"
#include "agents/soft_metrics.h"

namespace stampede {

struct SacDiscreteConfig : OffPolicyConfig {
  TemperatureConfig temperature;
};

struct SacDiscreteNetworks {
  std::shared_ptr<const Network> actor, critic;
};

class SacDiscrete final : public OffPolicyActorCritic {
 public:
  static SacDiscreteNetworks networks(const SacDiscreteConfig& config, const Space& observation, const Space& action,
                                      const NetworkFactory& factory);
  // Throws UsageError for more actions than kMaxActions or a batch larger than the ring.
  static void check(const SacDiscreteConfig& config, const Space& action, const RingShape& shape);

  SacDiscrete(const SacDiscreteConfig& config, const Space& action, const SacDiscreteNetworks& networks,
              const RingShape& shape, int workers, int act_rows, std::uint64_t seed, const Stream& stream,
              Arena& arena);

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

  Temperature& temperature() { return temperature_; }

 private:
  PolicyLogits policy(const float* logits) const { return {logits, actor_.spec().output_stride(), code_.size}; }

  void fit_critics(const Stream& stream, const UniformSampler& sampler, const Tile& tile);
  void improve_policy(const Stream& stream, const UniformSampler& sampler, const Tile& tile);

  Temperature temperature_;
  std::vector<Scratch> act_scratch_, learn_scratch_;  // per worker
};

}  // namespace stampede
