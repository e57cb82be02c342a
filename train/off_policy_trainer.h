// SPDX-License-Identifier: Apache-2.0
// What off-policy actor-critics share: acting, the rates of both networks, metrics and checkpoint blocks.
#pragma once

#include "agents/off_policy_actor_critic.h"
#include "agents/temperature.h"
#include "train/replay_trainer.h"
#include "train/shared_keys.h"

namespace stampede {

class OffPolicyTrainer : public ReplayTrainer {
 protected:
  // soft: returns of several steps take in entropies, which the ring keeps.
  explicit OffPolicyTrainer(const TrainerSetup& setup, bool soft = false);

  // What build_agent() made.
  virtual OffPolicyActorCritic& agent() const = 0;

  std::int64_t collect(std::int64_t most) override;
  void update() override;
  void initialize_agent() override { agent().initialize(stream_); }
  void request_agent_metrics() override { agent().request_metrics(stream_); }
  void agent_restored() override { agent().refresh(stream_); }
  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override;
  // Names and values of what every method reports, followed by its own.
  using NamedValues = std::vector<std::pair<std::string, double>>;
  static std::vector<std::string> with_shared_names(std::vector<std::string> own);
  void report(const OffPolicyMetrics& m, const NamedValues& own, TrainerMetrics& metrics) const;
  // Blocks that a checkpoint keeps of what actor-critics have beside an actor.
  static void add_target_block(const std::string& name, View<float> parameters, const NetworkSpec& spec,
                               std::vector<StateBlock>& blocks);
  static void add_critic_blocks(TwinCritic& critic, const std::string& prefix, std::vector<StateBlock>& blocks);
  static void add_temperature_blocks(const Temperature& temperature, std::vector<StateBlock>& blocks);
  static void add_noise_blocks(const ExplorationNoise& noise, std::vector<StateBlock>& blocks);

 private:
  double actor_scale_;
  bool random_warmup_;
};

// Rows of one gradient step.
std::int64_t off_policy_batch_rows(const Config& config);

// replay_keys, optimizer_keys, network_keys, and critics, gamma, n_step, target_tau, actor_rate_scale, warmup with the
// defaults that actor-critics share.
KeyList off_policy_keys();
// The part of a method's configuration that off_policy_keys describe.
void read_off_policy(const Config& config, OffPolicyConfig& off_policy);
// noise, noise_sigma, noise_theta, noise_dt.
KeyList noise_keys();
NoiseConfig noise_config(const Config& config);

}  // namespace stampede
