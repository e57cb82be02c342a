// SPDX-License-Identifier: Apache-2.0
#include "train/dqn_trainer.h"

#include <algorithm>
#include <string>

#include "train/dqn_keys.h"
#include "train/policy_keys.h"
#include "train/replay_trainer.h"
#include "train/value_rollout.h"

namespace stampede {
namespace {

class DqnTrainer final : public ReplayTrainer {
 public:
  explicit DqnTrainer(const TrainerSetup& setup)
      : ReplayTrainer(setup, Dqn::records_entropies(dqn_config(setup.config)) ? 1 : 0),
        config_(dqn_config(setup.config)),
        beta_(importance_schedule(setup.config)),
        exploration_(exploration_schedule(setup.config)),
        target_interval_(setup.config.integer("target_interval")),
        collector_options_(collector_options(setup.config)) {
    Dqn::check(config_, shape_);
    measure();
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
    if (Dqn::records_entropies(config_)) setup.refusal = "it does not record the entropies of soft returns";
    rollout_ = make_value_rollout(collector_options_, stream_, *env_, setup);
  }
  void initialize_agent() override { dqn_->initialize(stream_); }

  // A fused launch takes many rows, but for noise, which is new in every row, and priorities, which take in row by row.
  std::int64_t collect(std::int64_t most) override {
    const bool alone = !rollout_ || dqn_->acts_with_noise() || config_.prioritized;
    const auto count = static_cast<int>(alone ? 1 : std::min<std::int64_t>(most, shape_.rows));
    dqn_->prepare_acting(stream_, static_cast<std::uint64_t>(ring_->head()));
    if (rollout_) step_fused(count);
    if (!rollout_) step_all();
    dqn_->store(stream_, *ring_);
    return count;
  }

  void update() override {
    dqn_->learn(stream_, *ring_,
                {.update = static_cast<std::uint64_t>(updates_),
                 .learning_rate = static_cast<float>(learning_rate_.at(rows())),
                 .temperature = static_cast<float>(exploration_.temperature.at(rows())),
                 .beta = static_cast<float>(beta_.at(rows())),
                 .moves_target = (updates_ + 1) % target_interval_ == 0});
  }

  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    const Exploration exploration = mode == EvaluationMode::kGreedy ? Exploration{} : exploration_.at_end();
    dqn_->act(stream, {.obs = acts.obs,
                       .records = acts.records,
                       .begin = acts.begin,
                       .end = acts.end,
                       .row = acts.row,
                       .worker = acts.worker,
                       .exploration = exploration,
                       .seed = acts.seed});
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

  void step_all() {
    const std::int64_t row = ring_->head();
    const Exploration exploration = exploration_at(row * environments_);
    const bool entropies = Dqn::records_entropies(config_);
    const auto temperature = static_cast<float>(exploration_.temperature.at(row * environments_));
    step([&](const Stream& stream, int slot, int begin, int end, int worker) {
      dqn_->act(stream, {ring_->obs(slot), ring_->records(slot), begin, end, static_cast<std::uint64_t>(row), worker,
                         exploration, entropies ? ring_->extra(slot) : nullptr, temperature});
    });
  }

  void step_fused(int count) {
    rollout_->collect(stream_, *ring_, count, dqn_->acting_parameters(), false, [this](std::int64_t row) {
      const Exploration exploration = exploration_at(row * environments_);
      return FusedExploration::row_of(exploration.epsilon, exploration.temperature);
    });
    advance(count);
  }

  DqnConfig config_;
  Schedule beta_;
  ExplorationSchedule exploration_;
  std::int64_t target_interval_;
  CollectorOptions collector_options_;
  std::unique_ptr<Dqn> dqn_;
  std::unique_ptr<ValueRollout> rollout_;  // on CUDA where it fits
};

}  // namespace

std::unique_ptr<Trainer> make_dqn_trainer(const TrainerSetup& setup) { return std::make_unique<DqnTrainer>(setup); }

std::int64_t dqn_batch_rows(const Config& config) { return config.integer("batch_size"); }

}  // namespace stampede
