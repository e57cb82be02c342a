// SPDX-License-Identifier: Apache-2.0
// What every off-policy method does: step all environments into the ring, then gradient steps on samples of it, at any
// ratio of updates to data.
#pragma once

#include "agents/off_policy_actor_critic.h"
#include "agents/temperature.h"
#include "train/collecting_trainer.h"
#include "train/schedule.h"
#include "train/shared_keys.h"

namespace stampede {

class OffPolicyTrainer : public CollectingTrainer {
 public:
  std::int64_t rows_per_iteration() const override { return train_interval_ * environments_; }
  void iterate() override;

 protected:
  explicit OffPolicyTrainer(const TrainerSetup& setup);

  // What build_agent() made.
  virtual OffPolicyActorCritic& agent() const = 0;

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
  void step();

  Schedule learning_rate_;
  double actor_scale_;
  bool random_warmup_;
  std::int64_t learning_starts_, train_interval_, gradient_steps_;
  int n_step_;
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
