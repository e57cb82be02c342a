// SPDX-License-Identifier: Apache-2.0
// What trainers of on-policy methods share: rollouts of T rows into the ring, schedules, evaluation, metrics, state.
#pragma once

#include <algorithm>

#include "agents/actor_critic.h"
#include "train/collecting_trainer.h"
#include "train/collector.h"
#include "train/shared_keys.h"

namespace stampede {

// A derived class makes an agent around an ActorCritic and learns from each rollout.
class RolloutTrainer : public CollectingTrainer {
 public:
  std::int64_t rows_per_iteration() const override { return static_cast<std::int64_t>(shape_.rows) * environments_; }
  void iterate() override;
  std::vector<std::string> metric_names() const override;

 protected:
  explicit RolloutTrainer(const TrainerSetup& setup);

  virtual ActorCritic& actor_critic() const = 0;
  // Updates on the rollout in the ring. row: rows collected before it, where schedules stand; iteration: counts
  // rollouts from 0. Returns the gradient steps enqueued.
  virtual std::int64_t learn(std::int64_t row, std::uint64_t iteration) = 0;

  // The network of this run's spaces.
  std::unique_ptr<Network> make_network(const ActorCriticConfig& config) const {
    ActorCritic::check(config, spec_.action);
    return network_factory_(ActorCritic::network_spec(config, spec_.observation, spec_.action));
  }
  void built() override;
  void initialize_agent() override { actor_critic().initialize(stream_); }
  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override;
  void request_agent_metrics() override;
  void take_agent_metrics(TrainerMetrics& metrics) override;
  std::vector<StateBlock> agent_blocks() override;
  void agent_restored() override { actor_critic().refresh(stream_); }
  // Where schedules stood at the latest update of these metrics.
  std::int64_t schedule_row(const TrainerMetrics& metrics) const {
    return std::max<std::int64_t>(0, metrics.rows - rows_per_iteration());
  }
  float learning_rate(std::int64_t row) const { return static_cast<float>(learning_rate_.at(row)); }
  float entropy_weight(std::int64_t row) const { return static_cast<float>(entropy_.at(row)); }

 private:
  void collect();

  Schedule learning_rate_, entropy_;
  CollectorOptions collector_options_;
  std::unique_ptr<Collector> collector_;
};

}  // namespace stampede
