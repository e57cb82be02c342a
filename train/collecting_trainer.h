// SPDX-License-Identifier: Apache-2.0
// What every trainer that steps environments into a ring shares: memory, counters, episodes, evaluation.
#pragma once

#include <memory>
#include <optional>

#include "replay/trajectory_ring.h"
#include "train/trainer.h"

namespace stampede {

// A derived class makes its parts in build(), which runs twice: once on measuring arenas for the budget, once for real.
class CollectingTrainer : public Trainer {
 public:
  std::vector<std::pair<std::string, std::size_t>> memory_budget() const override;
  void initialize() override;
  std::int64_t rows() const override { return ring_head_ * environments_; }
  std::int64_t updates() const override { return updates_; }
  std::int64_t env_steps() override;
  void request_metrics() override;
  TrainerMetrics take_metrics() override;
  EvaluationResult evaluate(std::uint64_t seed, EvaluationMode mode) override;
  std::vector<StateBlock> state_blocks(bool with_replay) override;
  StateCounters state_counters() override;
  void restored(bool with_replay) override;
  std::size_t replay_bytes() const override { return on_policy_ ? 0 : replay_arena_.bytes(); }

 protected:
  // ring_rows: T. extra_size: floats beside each row. on_policy: nothing behind the head matters between iterations.
  CollectingTrainer(const TrainerSetup& setup, int ring_rows, int extra_size, bool on_policy);

  // Makes the agent on agent_arena_. Called after env_ and ring_ exist.
  virtual void build_agent() = 0;
  // After every build: env_, ring_ and the agent exist.
  virtual void built() {}
  // Fresh parameters.
  virtual void initialize_agent() = 0;
  virtual void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const = 0;
  // The agent's half of request_metrics() and take_metrics(); metrics.rows says where schedules stood.
  virtual void request_agent_metrics() = 0;
  virtual void take_agent_metrics(TrainerMetrics& metrics) = 0;
  virtual std::vector<StateBlock> agent_blocks() = 0;
  virtual void agent_restored() = 0;

  // Measures the budget; the last line of a derived constructor. Throws RuntimeError when there is not that much
  // memory.
  void measure();
  // Most rows of one act() call, in training or evaluation.
  int act_rows() const;
  int workers() const { return stream_.threads(); }
  // A block of the network's parameters, and what lies behind them in the same view as a block of its own.
  static void add_parameter_blocks(const std::string& name, View<float> view, const NetworkSpec& spec,
                                   std::vector<StateBlock>& blocks);
  // Blocks that a checkpoint keeps of a trainable network.
  static void add_network_blocks(TrainableNetwork& network, const std::string& prefix, std::vector<StateBlock>& blocks);

  Stream stream_;
  NetworkFactory network_factory_;
  std::uint64_t seed_;
  int environments_;
  RingShape shape_;
  EnvSpec spec_;
  std::unique_ptr<VectorEnv> env_;
  std::unique_ptr<TrajectoryRing> ring_;
  Arena agent_arena_;
  std::int64_t ring_head_ = 0;  // rows collected per environment
  std::int64_t updates_ = 0;

 private:
  void build();
  void request_episodes();
  void take_episodes();
  void drain_episodes();

  const EnvEntry& entry_;
  bool on_policy_;
  EnvParameters env_parameters_;
  int eval_episodes_;
  std::unique_ptr<Evaluator> evaluator_;
  Arena env_arena_, replay_arena_, eval_arena_;
  std::vector<std::pair<std::string, std::size_t>> budget_;
  bool episodes_requested_ = false;
  std::optional<std::int64_t> metrics_rows_;  // of a request whose episodes were not taken yet
  TrainerMetrics pending_;                    // all but the agent's half
  std::int64_t finished_ = 0;                 // reset rows: collected, but no transitions
  std::int64_t ring_base_ = 0;
};

}  // namespace stampede
