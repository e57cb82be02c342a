// SPDX-License-Identifier: Apache-2.0
#include "train/dqn_trainer.h"

#include <algorithm>
#include <string>

#include "train/collecting_trainer.h"
#include "train/dqn_keys.h"
#include "train/env_blocks.h"
#include "train/policy_keys.h"
#include "train/value_rollout.h"

namespace stampede {
namespace {

class DqnTrainer final : public CollectingTrainer {
 public:
  explicit DqnTrainer(const TrainerSetup& setup)
      : CollectingTrainer(setup, ring_rows(setup.config), 0, false),
        config_(dqn_config(setup.config)),
        learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
        beta_(importance_schedule(setup.config)),
        exploration_(exploration_schedule(setup.config)),
        learning_starts_(setup.config.integer("learning_starts")),
        train_interval_(setup.config.integer("train_interval")),
        gradient_steps_(setup.config.integer("gradient_steps")),
        target_interval_(setup.config.integer("target_interval")),
        collector_options_(collector_options(setup.config)) {
    Dqn::check(config_, shape_);
    measure();
  }

  std::int64_t rows_per_iteration() const override { return train_interval_ * environments_; }

  void iterate() override {
    for (std::int64_t left = train_interval_; left > 0;) left -= rollout_ ? step_fused(left) : step();
    // Enough rows that n-step transitions exist, whatever learning_starts says.
    if (rows() < learning_starts_ || ring_->stored_rows() < config_.n_step + 1) return;
    for (std::int64_t k = 0; k < gradient_steps_; ++k) update();
  }

  std::vector<std::string> metric_names() const override {
    std::vector<std::string> names{"losses/td_loss",     "losses/q_values",      "losses/absolute_td_error",
                                   "losses/td_target",   "losses/gradient_norm", "charts/epsilon",
                                   "charts/temperature", "charts/learning_rate"};
    if (config_.prioritized) {
      names.insert(names.end(), {"losses/importance_weight", "losses/importance_weight_std", "losses/priority",
                                 "losses/priority_max", "charts/beta"});
    }
    return names;
  }

 protected:
  void build_agent() override {
    dqn_ = std::make_unique<Dqn>(config_, spec_.action,
                                 network_factory_(Dqn::network_spec(config_, spec_.observation, spec_.action)), shape_,
                                 workers(), act_rows(), seed_, stream_, agent_arena_);
  }
  void built() override {
    ValueRolloutSetup setup{dqn_->network(), dqn_->seed(), spec_.action};
    setup.values.dueling = config_.dueling;
    setup.values.exploration.final_epsilons = dqn_->final_epsilons().data();
    setup.values.exploration.start = static_cast<float>(exploration_.epsilon.start);
    if (config_.distribution != ValueDistribution::kNone) setup.refusal = "it has no distributions of values";
    rollout_ = make_value_rollout(collector_options_, stream_, *env_, setup);
  }
  void initialize_agent() override { dqn_->initialize(stream_); }

  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    const Exploration exploration = mode == EvaluationMode::kGreedy ? Exploration{} : exploration_.at_end();
    dqn_->act(stream, {acts.obs, acts.records, acts.begin, acts.end, acts.row, acts.worker, exploration, acts.seed});
  }

  void request_agent_metrics() override { dqn_->request_metrics(stream_); }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    const DqnMetrics m = dqn_->take_metrics(stream_);
    metrics.failed = m.failed;
    metrics.values = {{"losses/td_loss", m.loss},
                      {"losses/q_values", m.mean_q},
                      {"losses/absolute_td_error", m.mean_absolute_error},
                      {"losses/td_target", m.mean_target},
                      {"losses/gradient_norm", m.gradient_norm},
                      {"charts/epsilon", static_cast<double>(exploration_at(metrics.rows).epsilon.shared)},
                      {"charts/temperature", exploration_.temperature.at(metrics.rows)},
                      {"charts/learning_rate", learning_rate_.at(metrics.rows)}};
    if (!config_.prioritized) return;
    metrics.values.insert(metrics.values.end(), {{"losses/importance_weight", m.mean_importance},
                                                 {"losses/importance_weight_std", m.importance_deviation},
                                                 {"losses/priority", m.mean_priority},
                                                 {"losses/priority_max", m.largest_priority},
                                                 {"charts/beta", beta_.at(metrics.rows)}});
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks;
    add_network_blocks(dqn_->network(), "network.", blocks);
    add_parameter_blocks("target.parameters", dqn_->target_parameters(), dqn_->network().spec(), blocks);
    const auto add = [&](const char* name, View<float> view) {
      if (view.size() > 0) blocks.push_back({name, StateBlock::Type::kF32, {view.size()}, view.data});
    };
    add("final_epsilons", dqn_->final_epsilons().block());
    if (PrioritizedSampler* const sampler = dqn_->prioritized()) {
      add("replay.priorities", sampler->priorities());
      add("replay.largest_priority", sampler->maximum());
      add("replay.errors", sampler->errors());
      add("replay.rank_table", sampler->rank_table());
    }
    return blocks;
  }

  void agent_restored() override {
    dqn_->network().refresh(stream_);
    if (dqn_->prioritized()) dqn_->prioritized()->restored(stream_, *ring_);
  }

 private:
  // Actions are random until learning starts.
  Exploration exploration_at(std::int64_t row) const {
    if (row < learning_starts_) return {.epsilon = {1.0f}};
    return exploration_.at(row, dqn_->final_epsilons().data());
  }

  // Returns the rows it took.
  std::int64_t step() {
    const std::int64_t row = ring_->head();
    const int slot = ring_->slot(row), next = ring_->slot(row + 1);
    const Exploration exploration = exploration_at(row * environments_);
    dqn_->prepare_acting(stream_, static_cast<std::uint64_t>(row));
    for_each_env_block(stream_, environments_, [&](int begin, int end, int worker, const Stream& stream) {
      dqn_->act(stream, {ring_->obs(slot), ring_->records(slot), begin, end, static_cast<std::uint64_t>(row), worker,
                         exploration});
      env_->step(stream, begin, end, {ring_->records(slot), ring_->obs(next), static_cast<std::uint64_t>(row)});
    });
    ring_->advance();
    dqn_->store(stream_, *ring_);
    ring_head_ = ring_->head();
    return 1;
  }

  // Many rows in one launch, but for noise, which is new in every row, and priorities, which take in row by row.
  std::int64_t step_fused(std::int64_t most) {
    const bool alone = dqn_->acts_with_noise() || config_.prioritized;
    const auto count = static_cast<int>(alone ? 1 : std::min<std::int64_t>(most, shape_.rows));
    dqn_->prepare_acting(stream_, static_cast<std::uint64_t>(ring_->head()));
    rollout_->collect(stream_, *ring_, count, dqn_->acting_parameters(), false, [this](std::int64_t row) {
      const Exploration exploration = exploration_at(row * environments_);
      return FusedExploration::row_of(exploration.epsilon, exploration.temperature);
    });
    ring_->advance(count);
    dqn_->store(stream_, *ring_);
    ring_head_ = ring_->head();
    return count;
  }

  void update() {
    dqn_->learn(stream_, *ring_,
                {.update = static_cast<std::uint64_t>(updates_),
                 .learning_rate = static_cast<float>(learning_rate_.at(rows())),
                 .temperature = static_cast<float>(exploration_.temperature.at(rows())),
                 .beta = static_cast<float>(beta_.at(rows())),
                 .moves_target = (updates_ + 1) % target_interval_ == 0});
    ++updates_;
  }

  DqnConfig config_;
  Schedule learning_rate_, beta_;
  ExplorationSchedule exploration_;
  std::int64_t learning_starts_, train_interval_, gradient_steps_, target_interval_;
  CollectorOptions collector_options_;
  std::unique_ptr<Dqn> dqn_;
  std::unique_ptr<ValueRollout> rollout_;  // on CUDA where it fits
};

}  // namespace

std::unique_ptr<Trainer> make_dqn_trainer(const TrainerSetup& setup) { return std::make_unique<DqnTrainer>(setup); }

std::int64_t dqn_batch_rows(const Config& config) { return config.integer("batch_size"); }

}  // namespace stampede
